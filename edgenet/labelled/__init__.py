"""Labelled images as they lie on disk: class folders, a labels.csv, TFRecord files, tar shards; read as a stream."""
