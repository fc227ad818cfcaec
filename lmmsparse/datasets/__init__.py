"""Small published datasets on which linear mixed models are explained, tested and compared."""

from lmmsparse.datasets.catalogue import Column, DatasetInfo, dataset_info, list_datasets
from lmmsparse.datasets.loader import load_dataset

__all__ = ["Column", "DatasetInfo", "dataset_info", "list_datasets", "load_dataset"]
