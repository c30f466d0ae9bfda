"""What people answered in past experiments: a normalised store, its queries, the starter corpus."""

from socrates_core.corpus.queries import Corpus, StudyRecord
from socrates_core.corpus.store import corpora, find_study, open_corpus, write_corpus

__all__ = ["Corpus", "StudyRecord", "corpora", "find_study", "open_corpus", "write_corpus"]
