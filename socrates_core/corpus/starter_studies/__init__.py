"""The starter studies: one YAML file each, named after the study, and the code that reads them.

`record.py` says what such a file may hold; `reading.py` turns the data set that it names into people and answers.
"""
