"""From tags to maps: training of the localizer, CAMs, seeds."""
