"""What a run measures: plan, candidates, time box, model sets."""
