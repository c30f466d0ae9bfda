# Computes every number of report.html again from data/ and compares it with numbers.csv.
#
#     Rscript comparison.R            base R alone, no package; the other files in R lie next to it
#
# Ends with 0 if every number agrees within the tolerance (relative to numbers above 1), otherwise with 1 and
# the first differences. Keys are quantity/predictor/place, as codebook.csv says. Intervals of groups are left out, and the
# mean of many draws: they come from numpy's generator, which comparison.py repeats.

floor_of_log <- 1e-6 # the least probability of the log score
zero <- 1e-9 # an effect or a difference below it is rounding
min_studies <- 5 # fewer earn no interval over studies
least <- 2 # the smallest number of respondents that can be told apart
min_people <- 30 # a smaller group is not compared
paper <- c("wasserstein_observed", "accuracy_draw", "accuracy_draw_clipped")
exact <- c(
  "corrected_distance", "wasserstein_stated", "wasserstein_exact_observed", "wasserstein_exact_stated", "log_score", "ranked_probability",
  "brier", "accuracy_median", "accuracy_median_clipped", "accuracy_expected", "accuracy_expected_clipped", "sd_ratio",
  "valid_mass"
)
judged <- c("corrected_distance", "wasserstein_exact_stated", "wasserstein_exact_observed", "log_score", "ranked_probability")
lower_is_better <- "^(corrected_distance|wasserstein|ranked_probability|brier)"

given <- grep("^--file=", commandArgs(FALSE), value = TRUE) # R writes a blank of the path as ~+~
folder <- if (length(given) == 0) "." else dirname(gsub("~+~", " ", sub("^--file=", "", given[1]), fixed = TRUE))
source(file.path(folder, "shared.R"), encoding = "UTF-8")

# Keeps an estimate: a number and the two ends of its interval.
put_ends <- function(quantity, estimate, ...) {
  suffixes <- c("", "_low", "_high")
  for (i in 1:3) put(paste0(quantity, suffixes[i]), estimate[i], ...)
}

mean_given <- function(x) mean_of(x[!is.na(x)])

# A statistic of the sums (a row a study) with the t interval of the jackknife that leaves out one study at a time.
over_studies <- function(sums, statistic, within = "any") {
  total <- matrix(colSums(sums), nrow = 1)
  value <- statistic(total)
  n <- nrow(sums)
  if (n < min_studies) return(c(value, NA_real_, NA_real_))
  left_out <- statistic(matrix(total, n, ncol(sums), byrow = TRUE) - sums)
  t <- qt(0.975, n - 1)
  error_around <- function(center, numbers) sqrt((n - 1) / n * sum((numbers - center)^2))
  if (within == "share") return(c(value, wilson(value, error_around(value, left_out), t, n)))
  forth <- switch(within, any = identity, positive = log, correlation = atanh)
  back <- switch(within, any = identity, positive = exp, correlation = tanh)
  center <- suppressWarnings(forth(value))
  reach <- t * error_around(center, suppressWarnings(forth(left_out)))
  if (!is.finite(reach)) return(c(value, NA_real_, NA_real_))
  c(value, back(center - reach), back(center + reach))
}

# Wilson's interval for as many answers as give this error; one a study where all studies agree.
wilson <- function(share, error, t, n_studies) {
  spread <- share * (1 - share)
  if (is.na(error) || is.na(spread)) return(c(NA_real_, NA_real_))
  n <- if (error < 1e-12 || spread < 1e-12) n_studies else spread / error^2
  middle <- (share + t^2 / (2 * n)) / (1 + t^2 / n)
  reach <- t * sqrt(spread / n + t^2 / (4 * n^2)) / (1 + t^2 / n)
  c(clip(middle - reach, 0, share), clip(middle + reach, share, 1))
}

# The p of the t test of differences by study; 1 without any difference.
p_of <- function(difference) {
  n <- length(difference)
  if (n < min_studies) return(NA_real_)
  if (all(abs(difference) < zero)) return(1)
  2 * pt(-abs(mean(difference)) / sqrt(variance(difference) / n), n - 1)
}

ratio <- function(totals) ifelse(totals[, 1] > 0, totals[, 2] / totals[, 1], NA_real_)

mean_interval <- function(scores) {
  scores <- scores[is.finite(scores)]
  over_studies(cbind(rep(1, length(scores)), scores), ratio)
}

# W between two sets of values: the area between their cumulative shares.
between <- function(ours, theirs) {
  places <- sort(c(ours, theirs))
  inner <- places[-length(places)]
  apart <- findInterval(inner, sort(ours)) / length(ours) - findInterval(inner, sort(theirs)) / length(theirs)
  sum(abs(apart) * diff(places))
}

clip <- function(x, low, high) pmin(pmax(x, low), high)

# W of one draw a person in shares of people's observed range, accuracy plain and clipped, n, n dropped.
published <- function(response, drawn) {
  both <- is.finite(response) & is.finite(drawn)
  h <- response[both]
  m <- drawn[both]
  n <- c(sum(both), sum(!both))
  if (length(h) < 2 || max(h) == min(h)) return(c(NA_real_, NA_real_, NA_real_, n))
  span <- max(h) - min(h)
  inside <- clip(m, min(h), max(h))
  w <- between((h - min(h)) / span, (inside - min(h)) / span)
  c(w, 1 - mean(abs(m - h)) / span, 1 - mean(abs(inside - h)) / span, n)
}

counts_of <- function(answers, values) colSums(memberships(answers, values))

# Scores of one distribution a person as a forecast of that person's answer: a row of shares for each.
proper <- function(values, shares, human, mass) {
  scores <- setNames(rep(NA_real_, 8), exact[c(5:11, 13)])
  scores["valid_mass"] <- mean_given(mass)
  n <- length(human)
  k <- length(values)
  if (n == 0) return(scores)
  rows <- shares / rowSums(shares)
  given <- memberships(human, values)
  reached <- cumulated(rows)
  scores["log_score"] <- mean(rowSums(given * log(pmax(rows, floor_of_log))))
  scores["brier"] <- mean(rowSums(rows^2) - 2 * rowSums(given * rows) + 1)
  if (k > 1) {
    below <- cumulated(given)[, -k, drop = FALSE] # below * (1 - below) is 0 but for answers between two values
    missed <- ((reached[, -k, drop = FALSE] - below)^2 + below * (1 - below)) %*% diff(values)
    scores["ranked_probability"] <- mean(missed) / (values[k] - values[1])
  }
  low <- min(human)
  high <- max(human)
  if (low == high) return(scores)
  enough <- reached >= reached[, k] / 2 - 1e-12
  medians <- values[max.col(enough, ties.method = "first")]
  for (end in c("", "_clipped")) {
    places <- if (end == "") values else clip(values, low, high)
    middle <- if (end == "") medians else clip(medians, low, high)
    scores[paste0("accuracy_median", end)] <- 1 - mean(abs(middle - human)) / (high - low)
    apart <- abs(outer(human, places, "-"))
    scores[paste0("accuracy_expected", end)] <- 1 - mean(rowSums(rows * apart)) / (high - low)
  }
  scores
}

# The spread of the predicted shares over that of everybody's answers.
sd_ratio <- function(cell, predicted) {
  spread <- if (length(cell$everybody) > 0) moments(rep(1, length(cell$everybody)), cell$everybody)[2] else 0
  if (spread > 0) moments(predicted, cell$values)[2] / spread else NA_real_
}

# The weight of each share that is compared, and the shares of each answer of everybody, a row an answer.
measured <- function(cell) {
  given <- memberships(cell$everybody, cell$values)
  k <- length(cell$values)
  if (!cell$ordered) return(list(weights = rep(0.5, k), seen = given))
  gaps <- diff(cell$values) / diff(range(cell$values))
  list(weights = gaps, seen = cumulated(given)[, -k, drop = FALSE])
}

# The variance of the mean of rows; what one person's rows miss by is added up first.
variance_of_mean <- function(rows, people) {
  residuals <- rowsum(sweep(rows, 2, colMeans(rows)), people)
  n <- nrow(residuals)
  if (n < 2) return(rep(NA_real_, ncol(rows)))
  colSums(residuals^2) / (nrow(rows) / n)^2 / (n - 1) / n
}

# The squared distance of shares to those of all such people: without the variance of a mean of so many.
corrected_distance <- function(cell, predicted) {
  total <- sum(predicted)
  if (is.na(total) || total <= 0 || length(cell$everybody) == 0) return(NA_real_)
  all_such <- measured(cell)
  expected <- predicted / total
  if (cell$ordered) expected <- cumsum(expected)[-length(expected)]
  sum(all_such$weights * ((expected - colMeans(all_such$seen))^2 - variance_of_mean(all_such$seen, cell$people)))
}

# The spread in its place before the valid mass.
put_in <- function(scores, spread) c(scores[1:7], spread, scores[8])

# Every measure of a cell, in the order of `paper`, `exact`, and the two means, n and n dropped.
score <- function(cell) {
  values <- cell$values
  used <- is.finite(cell$human) & cell$answered
  n <- counts_of(cell$everybody, values)
  answered <- cell$shares[cell$answered, , drop = FALSE]
  predicted <- if (nrow(answered) > 0) colMeans(answered) else rep(NA_real_, length(values))
  listed <- !cell$open && length(values) > 1
  on_scale <- used & rowSums(memberships(cell$human, values)) > 0
  stated <- NA_real_
  if (listed) {
    both <- is.finite(cell$human) & is.finite(cell$drawn)
    at <- function(x) (x - values[1]) / diff(range(values))
    if (sum(both) >= 2) stated <- between(at(cell$human[both]), clip(at(cell$drawn[both]), 0, 1))
  }
  scores <- c(
    published(cell$response, cell$drawn)[1:3], if (listed) corrected_distance(cell, predicted) else NA_real_, stated, distance(values, predicted, n, "observed"),
    if (listed) distance(values, predicted, n, "stated") else NA_real_,
    put_in(proper(values, cell$shares[on_scale, , drop = FALSE], cell$human[on_scale], cell$mass), sd_ratio(cell, predicted)),
    mean_of(cell$everybody), sum(predicted * values), length(unique(cell$people)), sum(on_scale), sum(!on_scale)
  )
  needs_no_order <- c("corrected_distance", "n_people", "log_score", "brier", "valid_mass", "n_rows", "n_dropped")
  if (!cell$ordered) scores[!(of_cell %in% needs_no_order)] <- NA_real_
  scores
}

measures <- c(paper, exact)
of_cell <- c(measures, "human_mean", "predicted_mean", "n_people", "n_rows", "n_dropped")

studies <- read_data("studies")
predictors <- read_data("predictors")
cells <- read_data("cells")
values <- read_data("values")
rows <- read_data("rows")
people_of <- split(read_data("people"), factor(read_data("people")$cell, levels = cells$cell))
wide <- read_data("predicted_wide")
long <- read_data("predicted_long")
effects <- read_data("effects")
differences <- read_data("people_differences")
jackknife <- read_data("people_left_out")

rows_of <- split(seq_len(nrow(rows)), factor(rows$cell, levels = cells$cell))
values_of <- split(as.numeric(values$value), paste(values$predictor, values$cell))
wide_of <- split(wide, wide$predictor)
long$cell <- rows$cell[match(long$row, rows$row)]
long_of <- split(long, paste(long$predictor, long$cell))
models <- predictors$predictor[predictors$kind == "model"]

# The cells as a model or baseline sees them.
cells_of <- function(p) {
  predicted <- wide_of[[as.character(p)]]
  predicted <- predicted[match(rows$row, predicted$row), ]
  is_model <- predictors$kind[predictors$predictor == p] == "model"
  seen <- lapply(seq_len(nrow(cells)), function(i) {
    at_rows <- rows_of[[i]]
    places <- values_of[[paste(if (is_model) p else 0, cells$cell[i])]]
    listed <- long_of[[paste(p, cells$cell[i])]]
    shares <- matrix(NA_real_, length(at_rows), length(places))
    if (!is.null(listed)) {
      at <- match(listed$row, rows$row[at_rows])
      shares[unique(at), ] <- 0
      shares[cbind(at, match(listed$value, places))] <- listed$probability
    }
    list(
      study = cells$study[i], item = cells$item[i], condition = cells$condition_num[i], open = cells$open[i] == 1,
      ordered = cells$ordered[i] == 1,
      values = places, shares = shares, drawn = as.numeric(predicted$drawn[at_rows]), mass = as.numeric(predicted$valid_mass[at_rows]),
      response = as.numeric(rows$response[at_rows]), human = as.numeric(rows$value[at_rows]),
      participant = rows$participant[at_rows],
      everybody = as.numeric(people_of[[i]]$value), people = people_of[[i]]$participant
    )
  })
  name <- predictors$name[predictors$predictor == p]
  if (!is_model && name %in% c("uniform", "condition-blind", "pooled", "majority")) seen <- alike(seen, name)
  lapply(seen, function(cell) c(cell, list(answered = is.finite(rowSums(cell$shares)))))
}

# The cells with a baseline's distribution, which is everybody's: of people who were asked the same question.
alike <- function(seen, name) {
  n <- lapply(seen, function(cell) counts_of(cell$everybody, cell$values))
  lapply(seq_along(seen), function(i) {
    cell <- seen[[i]]
    k <- length(cell$values)
    same <- which(cells$pool == cells$pool[i])
    if (name != "pooled") same <- setdiff(same, i) # the published row; the others know the other conditions alone
    weights <- if (name == "uniform") rep(1, k) else Reduce(`+`, n[same], rep(0, k))
    if (name == "majority") weights <- as.numeric(weights == max(weights) & weights > 0)
    if (name != "pooled" && sum(weights) == 0) weights <- rep(1, k) # asked in no other condition: a guess
    row <- if (sum(weights) > 0) weights / sum(weights) else rep(NA_real_, k)
    cell$shares <- matrix(row, length(cell$human), k, byrow = TRUE)
    cell
  })
}

# Means by study, in order of study, of the columns of a matrix with a row a cell.
by_study <- function(scores, study) {
  means <- t(sapply(sort(unique(study)), function(s) apply(scores[study == s, , drop = FALSE], 2, mean_given)))
  matrix(means, ncol = ncol(scores), dimnames = list(sort(unique(study)), colnames(scores)))
}

put_counts <- function(p, all_cells, study, scored, n_rows, n_dropped) {
  put("n_studies", length(unique(study[scored])), p)
  put("n_cells", sum(scored), p)
  put("n_skipped", sum(!scored), p)
  put("n_rows", sum(n_rows[scored]), p)
  put("n_dropped", sum(n_dropped), p)
  put("n_people", sum(sapply(all_cells, function(cell) length(cell$everybody))), p)
  put("n_off_scale", sum(sapply(all_cells, function(cell) sum(is.na(cell$human)))), p)
}

put_over_studies <- function(p, means) {
  for (name in colnames(means)) {
    put(paste0("study_", name), means[, name], p, rownames(means))
    put_ends(name, mean_interval(means[, name]), p)
    put(paste0(name, "_n_studies"), sum(!is.na(means[, name])), p)
  }
}

# The cells of each study, condition and outcome: the questions of a battery together.
place <- paste(cells$study, cells$condition_num, cells$task_num)
whole <- split(seq_len(nrow(cells)), factor(place, levels = unique(place)))

put_summary <- function(p, seen) {
  scores <- t(sapply(seen, score))
  colnames(scores) <- of_cell
  for (name in of_cell) put(paste0("cell_", name), scores[, name], p, cells$cell)
  pooled <- t(sapply(whole, function(at) {
    published(unlist(lapply(seen[at], `[[`, "response")), unlist(lapply(seen[at], `[[`, "drawn")))
  }))
  colnames(pooled) <- c(paper, "n_rows", "n_dropped")
  study <- cells$study[match(unique(place), place)]
  put_counts(p, seen, study, !is.na(pooled[, 1]), pooled[, "n_rows"], pooled[, "n_dropped"])
  means <- cbind(by_study(pooled[, paper, drop = FALSE], study), by_study(scores[, exact, drop = FALSE], cells$study))
  put_over_studies(p, means)
  means
}

# What people's own answers score: W in both ranges, and the corrected distance.
put_people <- function(p, seen, scores_of) {
  of_range <- function(range_name) {
    sapply(seen, function(cell) {
      if (!cell$ordered || (range_name == "stated" && cell$open)) NA_real_ else scores_of(cell, range_name)
    })
  }
  n <- sapply(seen, function(cell) length(unique(cell$people)))
  corrected <- sapply(seq_along(seen), function(i) {
    listed <- !seen[[i]]$open && length(seen[[i]]$values) > 1 && n[i] >= 4
    if (listed) scores_of(seen[[i]], "corrected") else NA_real_
  })
  scores <- cbind(
    wasserstein_exact_observed = of_range("observed"), wasserstein_exact_stated = of_range("stated"),
    corrected_distance = corrected
  )
  scored <- sapply(whole, function(at) {
    response <- unlist(lapply(seen[at], `[[`, "response"))
    response <- response[is.finite(response)]
    any(!is.na(scores[at, ])) && length(response) >= 2 && max(response) > min(response)
  })
  put_counts(p, seen, cells$study[match(unique(place), place)], scored, sapply(whole, function(at) sum(n[at])), 0)
  put_over_studies(p, by_study(scores, cells$study))
}

# The mean W between two halves of the people, or the squared distance of one half from all such people.
half_against_half <- function(cell, what) {
  n <- length(unique(cell$people))
  counts <- counts_of(cell$everybody, cell$values)
  if (what != "corrected" && n == length(cell$people)) return(half_sample(cell$values, counts, what))
  all_such <- measured(cell)
  variance <- variance_of_mean(all_such$seen, cell$people)
  if (what == "corrected") return(sum(all_such$weights * variance) * n / (n %/% 2))
  range <- ends(cell$values, counts, what)
  if (n < 4 || is.na(range[1]) || range[2] <= range[1]) return(NA_real_)
  # one person gave several answers, which stay in one half: the halves' difference is taken as normal
  sum(diff(cell$values) * sqrt(variance)) * 2 * sqrt(2 / pi) / (range[2] - range[1])
}

# What the true distribution is expected to score.
of_the_truth <- function(cell, what) {
  if (what == "corrected") return(0)
  if (length(unique(cell$people)) < length(cell$people)) return(half_against_half(cell, what) / 2)
  oracle(cell$values, counts_of(cell$everybody, cell$values), what)
}

duels <- data.frame()
put_paired <- function(first, second, ours, theirs) {
  for (name in setdiff(measures, "sd_ratio")) {
    difference <- ours[, name] - theirs[, name]
    given <- difference[is.finite(difference)]
    better <- c(sum(given < -zero), sum(given > zero))
    if (!grepl(lower_is_better, name)) better <- rev(better)
    put(paste0("paired_", name, "_n_first_better"), better[1], first, second)
    put(paste0("paired_", name, "_n_second_better"), better[2], first, second)
    put(paste0("paired_", name, "_n_studies"), length(given), first, second)
    put(paste0("paired_", name, "_n_dropped"), length(difference) - length(given), first, second)
    put_ends(paste0("paired_", name), mean_interval(given), first, second)
    p <- p_of(given)
    put(paste0("paired_", name, "_p"), p, first, second)
    if (name %in% judged) {
      duels <<- rbind(duels, data.frame(key = paste0("paired_", name, "_p_holm"), first = first, second = second, p = p))
    }
  }
}

source(file.path(folder, "comparison_people.R"), encoding = "UTF-8")
source(file.path(folder, "comparison_ladder.R"), encoding = "UTF-8")

seen_by <- lapply(setNames(unique(wide$predictor), unique(wide$predictor)), cells_of)
left_out <- sum(studies$n_left_out)
put("rows", nrow(rows) + left_out + sum(studies$n_unanswered))
put("rows_unanswered", sum(studies$n_unanswered))
put("rows_left_out", left_out)
means <- list()
for (p in names(seen_by)) means[[p]] <- put_summary(p, seen_by[[p]])
put_people(length(seen_by), seen_by[[1]], half_against_half)
put_people(length(seen_by) + 1, seen_by[[1]], of_the_truth)
uniform <- as.character(predictors$predictor[predictors$kind == "baseline" & predictors$name == "uniform"])
for (i in seq_along(models)) {
  first <- as.character(models[i])
  for (second in c(as.character(models[-seq_len(i)]), uniform)) {
    put_paired(first, second, means[[first]], means[[second]])
  }
}
put_corrected <- function(i) put(duels$key[i], p.adjust(duels$p, "holm")[i], duels$first[i], duels$second[i])
for (i in seq_len(nrow(duels))) put_corrected(i)
people <- human_effects()
for (name in c("human", "human_se", "n_human")) put(name, people[[name]], NA, effects$effect)
for (p in as.character(models)) {
  seen <- seen_by[[p]]
  put("seconds", as.numeric(predictors$seconds[predictors$predictor == p]), p)
  put("cost_usd", as.numeric(predictors$cost_usd[predictors$predictor == p]), p)
  put_ladder(p, seen, put_effects(p, seen, people), people, is_first = p == as.character(models[1]))
  put_worth(p, seen)
  if (file.exists(file.path(folder, "data", "groups.csv"))) put_groups(p, seen)
}
verdict(not_compared = "^(.*_of_draws|.*_of_draws_sd|parity|parity_low|parity_high|group_score_low|group_score_high)/")
