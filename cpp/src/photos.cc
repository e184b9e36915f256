#include "plate/photos.h"

#include "plate/error.h"
#include "plate/text.h"

namespace plate {

std::vector<std::string> photos(const Args& args) {
    std::vector<std::string> paths = args.rest();
    if (args.has("list")) {
        const std::vector<std::string> listed = read_list(args.required("list"));
        paths.insert(paths.end(), listed.begin(), listed.end());
    }
    if (paths.empty()) throw Error(ExitCode::kUsage, "no image is given (see `plate_ocr help`)");
    return paths;
}

}  // namespace plate
