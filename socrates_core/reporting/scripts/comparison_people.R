# Effects, a model's worth in respondents, and scores of groups of people: a part of comparison.R.

error_of <- function(answers) if (length(answers) > 1) sqrt(variance(answers) / length(answers)) else NA_real_

# People's effects in shares of the scale, with the standard error of the method of each.
human_effects <- function() {
  if (nrow(effects) == 0) return(list(human = numeric(0), human_se = numeric(0), n_human = numeric(0)))
  estimates <- t(sapply(effects$effect, function(effect) {
    counted <- differences[differences$effect == effect, ]
    ours <- repeated(counted, "value")
    theirs <- repeated(counted, "value_reference")
    method <- method_of(counted)
    fitted <- if (method == "clustered") clustered(counted) else NULL
    error <- switch(method,
      clustered = fitted[2],
      paired = error_of(ours - theirs),
      sqrt(error_of(ours)^2 + error_of(theirs)^2)
    )
    difference <- if (method == "clustered") fitted[1] else mean_of(ours) - mean_of(theirs)
    c(difference, error, length(ours) + length(theirs))
  }))
  list(human = estimates[, 1] / effects$span, human_se = estimates[, 2] / effects$span, n_human = estimates[, 3])
}

# A model's effects where it answered in both conditions; NA elsewhere.
put_effects <- function(p, seen, people) {
  item <- sapply(seen, `[[`, "item")
  condition <- sapply(seen, `[[`, "condition")
  means_of <- function(place) {
    lapply(seen, function(cell) as.numeric(cell$shares[cell$answered, , drop = FALSE] %*% place(cell)))
  }
  answers <- list(
    answers = means_of(function(cell) cell$values),
    # where each value lies on its scale, from 0 to 1
    positions = means_of(function(cell) (cell$values - min(cell$values)) / diff(range(cell$values)))
  )
  side <- function(i, name) {
    unlist(answers[[effects$basis[i]]][item == effects$item[i] & condition == effects[[name]][i]])
  }
  predicted <- rep(NA_real_, nrow(effects))
  for (i in seq_len(nrow(effects))) {
    ours <- side(i, "condition_num")
    theirs <- side(i, "reference_num")
    if (length(ours) == 0 || length(theirs) == 0) next
    predicted[i] <- (mean(ours) - mean(theirs)) / effects$span[i]
    put("predicted", predicted[i], p, effects$effect[i])
    put("n_predicted", length(ours) + length(theirs), p, effects$effect[i])
  }
  there <- !is.na(predicted)
  put_agreement(p, effects$study[there], people$human[there], people$human_se[there], predicted[there])
  predicted
}

sums_by <- function(study, table) {
  if (nrow(table) == 0) return(table)
  as.matrix(rowsum(table, study, reorder = TRUE))
}

# How effects agree with people's: every effect counts the same, and studies are left out.
put_agreement <- function(p, study, human, error, predicted) {
  both <- is.finite(human) & is.finite(predicted)
  s <- study[both]
  h <- human[both]
  m <- predicted[both]
  a <- h - mean_of(h)
  b <- m - mean_of(m)
  clear <- abs(h) > qnorm(0.975) * error[both]
  clear <- clear & !is.na(clear)
  sign_of <- function(x) ifelse(abs(x) < zero, 0, sign(x))
  same <- (1 + sign_of(h) * sign_of(m)) / 2
  one <- rep(1, length(h))
  mean_of_effects <- function(x, used, statistic = ratio, within = "share") {
    over_studies(sums_by(s[used], cbind(one, x)[used, , drop = FALSE]), statistic, within)
  }
  joint <- sums_by(s, cbind(one, a, b, a * a, a * b, b * b))
  put_ends("effects_sign", mean_of_effects(same, rep(TRUE, length(h))), p)
  put_ends("effects_sign_clear", mean_of_effects(same, clear), p)
  put_ends("effects_r", over_studies(joint, correlation, "correlation"), p)
  put_ends("effects_slope", over_studies(joint, slope), p)
  put_ends("effects_rmse", mean_of_effects((h - m)^2, rep(TRUE, length(h)), function(x) sqrt(ratio(x)), "positive"), p)
  put("effects_n_effects", length(h), p)
  put("effects_n_studies", length(unique(s)), p)
  put("effects_n_clear", sum(clear), p)
  put("effects_n_dropped", sum(!both), p)
}

# Variance of people's effects, covariance, variance of predicted ones; NA for fewer than three.
spreads <- function(totals) {
  n <- ifelse(totals[, 1] >= 3, totals[, 1], NA_real_)
  x <- totals[, -1, drop = FALSE] / n
  list(human = x[, 3] - x[, 1]^2, both = x[, 4] - x[, 1] * x[, 2], predicted = x[, 5] - x[, 2]^2)
}

correlation <- function(totals) {
  x <- spreads(totals)
  usable <- !is.na(x$human) & x$human > zero^2 & x$predicted > zero^2
  ifelse(usable, x$both / sqrt(ifelse(usable, x$human * x$predicted, 1)), NA_real_)
}

slope <- function(totals) {
  x <- spreads(totals)
  usable <- !is.na(x$predicted) & x$predicted > zero^2
  ifelse(usable, x$both / ifelse(usable, x$predicted, 1), NA_real_)
}

# What one person's answer misses by and what the model misses by: means over each study's cells.
study_errors <- function(scored) {
  if (length(scored) == 0) return(matrix(0, 0, 2))
  errors <- t(sapply(scored, function(pair) {
    cell <- pair$cell
    human <- cell$everybody[pair$rows]
    k <- length(cell$values)
    gaps <- diff(cell$values) / diff(range(cell$values))
    predicted <- colMeans(cell$shares[cell$answered, , drop = FALSE])
    answers_below <- cumulated(memberships(human, cell$values))[, -k, drop = FALSE]
    below <- colMeans(answers_below)
    # the variance of the mean over people, whose answers go together
    residuals <- rowsum(sweep(answers_below, 2, below), cell$people[pair$rows])
    n <- nrow(residuals)
    noise <- sum(gaps * colSums(residuals^2)) / (length(human) / n)^2 / (n - 1) / n
    missed <- sum(gaps * (cumsum(predicted)[-k] / sum(predicted) - below)^2)
    c(noise * n, missed - noise)
  }))
  by_study(errors, sapply(scored, function(pair) pair$cell$study))
}

put_worth <- function(p, seen) {
  seen <- Filter(function(cell) cell$ordered, seen)
  pairs <- lapply(seen, function(cell) {
    list(cell = cell, rows = rep(any(cell$answered), length(cell$everybody)))
  })
  sizes <- vapply(pairs, function(pair) sum(pair$rows), numeric(1))
  n_people <- vapply(pairs, function(pair) length(unique(pair$cell$people[pair$rows])), integer(1))
  can <- n_people > 1 & vapply(pairs, function(pair) length(pair$cell$values) > 1, logical(1))
  scored <- pairs[can]
  most <- if (any(can)) floor(median(n_people[can])) else 0
  sums <- study_errors(scored)
  share <- over_studies(sums, ratio)
  if (nrow(sums) < min_studies) share[2:3] <- share[1] + c(-1, 1) * without_people(p, scored)
  # a smaller ratio is worth more people, so the ends of the interval change places
  people <- function(x) if (is.na(x)) NA_real_ else if (x > 0) min(max(1 / x, least), most) else most
  put_ends("worth", c(people(share[1]), people(share[3]), people(share[2])), p)
  put("worth_most", most, p)
  put("worth_n_studies", nrow(sums), p)
  put("worth_n_cells", sum(can), p)
  put("worth_n_skipped", sum(!can), p)
  put("worth_n_rows", sum(sizes[can]), p)
  put("worth_n_dropped", 0, p)
}

# Half the t interval of the ratio from leaving groups of people out in turn.
without_people <- function(p, scored) {
  table <- jackknife[jackknife$predictor == p, ]
  ratios <- sapply(0:19, function(turn) {
    gone <- table[table$turn == turn, ]
    rest <- lapply(scored, function(pair) {
      pair$rows <- pair$rows & !(pair$cell$people %in% gone$participant[gone$study == pair$cell$study])
      pair
    })
    rest <- rest[sapply(rest, function(pair) length(unique(pair$cell$people[pair$rows])) > 1)]
    ratio(matrix(colSums(study_errors(rest)), nrow = 1))
  })
  if (any(is.na(ratios))) return(NA_real_)
  qt(0.975, 19) * sqrt(19 / 20 * sum((ratios - mean(ratios))^2))
}

# Scores of groups of people and the largest gap between two, on cells in which each has enough people.
put_groups <- function(p, seen) {
  table <- read_data("people_groups")
  table$group[is.na(table$group)] <- -1
  key <- paste(table$study, table$participant)
  grouped <- lapply(Filter(function(cell) cell$ordered && !cell$open, seen), function(cell) {
    rows <- is.finite(cell$human) & cell$answered
    who <- cell$participant[rows]
    list(
      study = cell$study, values = cell$values, human = cell$human[rows], shares = cell$shares[rows, , drop = FALSE],
      who = who, group = as.integer(table$group[match(paste(cell$study, who), key)])
    )
  })
  everyone <- n_people(grouped)
  names <- sort(setdiff(unique(everyone$group), -1))
  enough <- matrix(sapply(grouped, function(cell) sapply(names, function(g) sum(cell$group == g) >= min_people)),
    ncol = length(names), byrow = TRUE
  )
  kept <- names[colMeans(enough) >= 0.5]
  compared <- if (length(kept) == 0) list() else grouped[apply(enough[, names %in% kept, drop = FALSE], 1, all)]
  counted <- n_people(compared)
  put("parity_n_cells", length(compared), p)
  put("parity_n_skipped", length(grouped) - length(compared), p)
  put("parity_n_unknown", sum(everyone$group == -1), p)
  scores <- sapply(kept, function(g) group_score(compared, g))
  for (i in seq_along(kept)) {
    put("group_score", scores[1, i], p, kept[i])
    put("group_n", sum(counted$group == kept[i]), p, kept[i])
    put("group_human_mean", scores[2, i], p, kept[i])
    put("group_predicted_mean", scores[3, i], p, kept[i])
  }
  for (g in setdiff(names, kept)) put("group_left_out", sum(everyone$group == g), p, g)
}

# Every different person of some cells with their group.
n_people <- function(grouped) {
  unique(do.call(rbind, c(
    list(data.frame(study = integer(0), who = integer(0), group = integer(0))),
    lapply(grouped, function(cell) {
      data.frame(study = rep(cell$study, length(cell$who)), who = cell$who, group = cell$group)
    })
  )))
}

# Squared distance of a group, people's mean and the predicted one: means over cells within studies, then studies.
# The distance is the mean product of differences over pairs of answers of different people, which sampling noise
# does not enlarge.
group_score <- function(compared, g) {
  scores <- t(sapply(compared, function(cell) {
    rows <- cell$group == g
    places <- (cell$values - min(cell$values)) / diff(range(cell$values))
    answers <- t(sapply(cell$human[rows], counts_of, values = cell$values))
    shares <- cell$shares[rows, , drop = FALSE]
    below <- function(x) t(apply(x, 1, cumsum))[, -length(places), drop = FALSE]
    differences <- sweep(below(answers - shares), 2, sqrt(diff(places)), "*")
    people <- rowsum(differences, cell$who[rows])
    n_answers <- as.vector(table(cell$who[rows]))
    apart <- (sum(colSums(people)^2) - sum(people^2)) / (sum(n_answers)^2 - sum(n_answers^2))
    c(apart, sum(colMeans(answers) * places), sum(colMeans(shares) * places))
  }))
  colMeans(by_study(scores, sapply(compared, `[[`, "study")))
}
