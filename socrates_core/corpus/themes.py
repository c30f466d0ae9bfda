"""Topics of studies whose source names none: groups by shared words, named by the words that tell them apart."""

from collections.abc import Mapping

from socrates_core.corpus.near import SILENT

LEAST = 12  # studies: fewer make no groups worth a name
EACH = 8  # studies in a group, on average
WORDS = 3
SEED = 0


def name_themes(texts: Mapping[str, str]) -> dict[str, str]:
    """A topic such as "police, crime, officers" for each study_id, from all that it shows; {} for fewer than LEAST.

    TF-IDF, a truncated SVD and k-means (seeded); a group is named by the words that weigh most in it against the rest.
    """
    if len(texts) < LEAST:
        return {}
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    words = TfidfVectorizer(
        stop_words=sorted(SILENT), min_df=2, max_df=0.3, sublinear_tf=True, token_pattern=r"[^\W\d_]{3,}"
    )
    try:
        weights = words.fit_transform(texts.values())
    except ValueError:  # no word is in two studies, or all are in many
        return {}
    n_dimensions = min(50, weights.shape[1] - 1, len(texts) - 1)
    near = make_pipeline(TruncatedSVD(n_dimensions, random_state=SEED), Normalizer()).fit_transform(weights)
    groups = KMeans(max(2, round(len(texts) / EACH)), n_init=4, random_state=SEED).fit_predict(near)
    names, everywhere = words.get_feature_names_out(), weights.mean(axis=0)
    found = {}
    for group in set(groups.tolist()):
        telling = (weights[groups == group].mean(axis=0) - everywhere).A1
        found[group] = ", ".join(names[telling.argsort()[::-1][:WORDS]])
    return {study: found[group] for study, group in zip(texts, groups.tolist(), strict=True)}
