"""Networks: trunks, the localizer with its pooling, IRNet, DeepLab, and the loaders of foreign weights."""
