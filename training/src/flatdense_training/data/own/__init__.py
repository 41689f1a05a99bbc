"""What users bring: folders of images, IDX files and archives, as the arrays of a dataset."""
