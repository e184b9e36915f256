// Settings of the process that must be made before the runtime computes.
#pragma once

namespace plate {

// Lets repeated runs reuse what the last one freed, and lets MKL, which only the host's runtime has, use AVX2 on
// processors of other makers. Harmless where it does nothing; a user's own environment wins.
void prepare_process();

}  // namespace plate
