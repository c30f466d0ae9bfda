# Computes every number of report.html again from data/ and compares it with numbers.csv.
#
#     Rscript analysis.R            base R alone, no package; shared.R and refit.R lie next to it
#
# Ends with 0 if every number agrees within the tolerance (relative to numbers above 1), otherwise with 1 and
# the first differences. A calibration is fitted again by refit.R: its numbers agree within refit_tolerance. Keys are
# quantity/outcome/condition/value, as codebook.csv says.

given <- grep("^--file=", commandArgs(FALSE), value = TRUE) # R writes a blank of the path as ~+~
folder <- if (length(given) == 0) "." else dirname(gsub("~+~", " ", sub("^--file=", "", given[1]), fixed = TRUE))
source(file.path(folder, "shared.R"), encoding = "UTF-8")
source(file.path(folder, "refit.R"), encoding = "UTF-8")

text_of <- function(value) sprintf("%.15g", as.numeric(value))

# A row of probabilities for every person with a valid answer, over all values of the outcome.
distributions <- function(rows, scale) {
  drawn <- which(!is.na(scale$column))
  listed <- as.matrix(rows[rows$valid_mass > 0, scale$column[drawn], drop = FALSE])
  shares <- matrix(0, nrow = nrow(listed), ncol = nrow(scale))
  shares[, drawn] <- as.numeric(listed)
  shares
}

# Whether answers are draws and not exact probabilities. Draws have no stated range.
is_drawn <- function(rows) max(rows$n_samples) > 0

# The share of each answer with the 95% interval of `size` people.
wilson <- function(n, size) {
  total <- sum(n)
  if (total == 0) return(list(share = n * NA, low = n * NA, high = n * NA))
  z <- qnorm(0.975)
  share <- n / total
  middle <- (share * size + z^2 / 2) / (size + z^2)
  margin <- z / (1 + z^2 / size) * sqrt(share * (1 - share) / size + z^2 / (4 * size^2))
  low <- ifelse(n == 0 & !is.na(size), 0, middle - margin)
  list(share = share, low = low, high = ifelse(n == total & !is.na(size), 1, middle + margin))
}

# The weighted mean of the people's probabilities; NA without a valid answer.
mean_shares <- function(rows, scale) {
  predicted <- distributions(rows, scale)
  if (nrow(predicted) == 0) return(rep(NA_real_, nrow(scale)))
  weights <- as.numeric(rows$weight[rows$valid_mass > 0])
  colSums(predicted * weights) / sum(weights)
}

weighted_mass <- function(rows) {
  if (nrow(rows) == 0) return(NA_real_)
  sum(rows$valid_mass * rows$weight) / sum(rows$weight)
}

# How many distinct profiles have a valid answer: people with the same one get the same answer and count once.
n_profiles <- function(rows) length(unique(rows$profile[rows$valid_mass > 0]))

put_cell <- function(o, k, rows, scale, people, single) {
  is_ordered <- outcomes$ordered[outcomes$outcome == o] == 1
  places <- as.numeric(scale$value)
  shares <- mean_shares(rows, scale)
  spread <- if (is_ordered) moments(shares, places) else c(NA_real_, NA_real_)
  put("n_simulated", sum(rows$valid_mass > 0), o, k)
  put("n", n_profiles(rows), o, k)
  put("mean", spread[1], o, k)
  put("sd", spread[2], o, k)
  if (is_ordered) put("above", above_midpoint(shares, places), o, k)
  put("valid_mass", weighted_mass(rows), o, k)
  for (i in seq_along(places)) put("share", shares[i], o, k, text_of(places[i]))
  if (nrow(people) == 0) return(invisible())
  given <- people[!is.na(people$value), ]
  given <- given[match(text_of(places), text_of(given$value)), ]
  n <- as.numeric(given$n)
  spread <- if (is_ordered) moments(n, places) else c(NA_real_, NA_real_)
  size <- if (nrow(single) > 0) effective_size(single) else c(sum(n), sum(n))
  if (nrow(single) > 0) put("people_n_effective", size[2], o, k)
  put("people_n", size[1], o, k)
  put("people_n_off_scale", sum(people$n[is.na(people$value)]), o, k)
  put("people_mean", spread[1], o, k)
  put("people_sd", spread[2] * sample_factor(size[1]), o, k)
  if (is_ordered) put("people_above", above_midpoint(n, places), o, k)
  intervals <- wilson(n, size[2])
  for (i in seq_along(places)) {
    put("people_share", intervals$share[i], o, k, text_of(places[i]))
    put("people_share_low", intervals$low[i], o, k, text_of(places[i]))
    put("people_share_high", intervals$high[i], o, k, text_of(places[i]))
  }
  if (!is_ordered) return(invisible())
  for (range_name in if (is_drawn(rows)) "observed" else c("observed", "stated")) {
    name <- paste0("w_", range_name)
    put(name, distance(places, shares, n, range_name), o, k)
    put(paste0(name, "_uniform"), distance(places, rep(1 / length(places), length(places)), n, range_name), o, k)
    if (!any(is.na(given$pooled_share))) {
      put(paste0(name, "_condition_blind"), distance(places, as.numeric(given$pooled_share), n, range_name), o, k)
    }
    half <- half_sample(places, n, range_name)
    put(paste0(name, "_half_sample"), half, o, k)
    put(paste0(name, "_oracle"), oracle(places, n, range_name), o, k)
  }
}

# Squared distances to all such people: without the variance of the shares of those who answered.
put_squared <- function(o, k, rows, scale, people) {
  is_ordered <- outcomes$ordered[outcomes$outcome == o] == 1
  places <- as.numeric(scale$value)
  people <- people[rep(seq_len(nrow(people)), people$n), ]
  unit <- or_else(people$unit, -seq_len(nrow(people)))
  given <- memberships(as.numeric(people$answer), places)
  gaps <- rep(0.5, length(places))
  if (is_ordered) {
    given <- cumulated(given)[, -length(places), drop = FALSE]
    gaps <- diff(places) / diff(range(places))
  }
  weight <- as.numeric(people$weight) / sum(as.numeric(people$weight))
  shares <- colSums(weight * given)
  # what one person, or cluster, misses by is added up first
  missed <- rowsum(weight * sweep(given, 2, shares), unit)
  n <- nrow(missed)
  noise <- if (n > 1) colSums(missed^2) * n / (n - 1) else NA_real_
  guesses <- list(squared = mean_shares(rows, scale), squared_uniform = rep(1 / length(places), length(places)))
  for (name in names(guesses)) {
    expected <- guesses[[name]] / sum(guesses[[name]])
    if (is_ordered) expected <- cumsum(expected)[-length(places)]
    put(name, sum(gaps * ((expected - shares)^2 - noise)), o, k)
  }
}

# The mean of each distance over the cells that were not seen in training, and their number.
put_means_over_cells <- function(seen) {
  cells <- computed()
  places <- sub("^[^/]*/", "", cells$key)
  scored <- grepl("^(w_|squared)", cells$key) & !(places %in% seen) & !is.na(cells$number)
  by_name <- split(cells$number[scored], sub("/.*", "", cells$key[scored]))
  for (name in names(by_name)) {
    put(name, mean(by_name[[name]]))
    put(paste0("n_", name), length(by_name[[name]]))
  }
}

# A predicted difference in means from the reference, over the simulated people who answered both.
put_effect <- function(o, k, ours, theirs, scale) {
  scale <- scale[!is.na(scale$column), ]
  both <- intersect(ours$person, theirs$person)
  if (length(both) == 0 || nrow(scale) == 0) return(invisible())
  places <- as.numeric(scale$value)
  mean_predicted <- function(rows) {
    rows <- rows[rows$person %in% both, ]
    shares <- mean_shares(rows, scale)
    middle <- if (any(is.na(shares))) NA_real_ else moments(shares, places)[1]
    c(middle, n_profiles(rows), sum(rows$valid_mass > 0))
  }
  treated <- mean_predicted(ours)
  difference <- treated[1] - mean_predicted(theirs)[1]
  put("effect", difference, o, k)
  put("effect_n", treated[2], o, k)
  put("effect_n_simulated", treated[3], o, k)
  span <- span_of(o)
  if (!is.na(span) && span > 0) put("effect_share", difference / span, o, k)
}

# People's difference with the ends of its 95% interval, by the method of the effect.
people_effect <- function(rows) {
  ours <- repeated(rows, "value")
  theirs <- repeated(rows, "value_reference")
  error <- NA_real_
  freedom <- NA_real_
  difference <- mean_of(ours) - mean_of(theirs)
  method <- method_of(rows)
  if (method == "clustered") {
    fitted <- clustered(rows)
    difference <- fitted[1]
    error <- fitted[2]
    freedom <- fitted[3]
  } else if (method == "paired") {
    if (length(ours) > 1) {
      error <- sqrt(variance(ours - theirs) / length(ours))
      freedom <- length(ours) - 1
    }
  } else if (min(length(ours), length(theirs)) > 1) {
    a <- variance(ours) / length(ours)
    b <- variance(theirs) / length(theirs)
    error <- sqrt(a + b)
    freedom <- (a + b)^2 / (a^2 / (length(ours) - 1) + b^2 / (length(theirs) - 1))
  }
  margin <- if (!is.na(error) && error > 0) qt(0.975, freedom) * error else NA_real_
  c(difference, difference - margin, difference + margin)
}

put_people_effect <- function(o, k, rows) {
  ends <- c("", "_low", "_high")
  estimate <- people_effect(rows)
  span <- span_of(o)
  for (i in 1:3) {
    put(paste0("people_effect", ends[i]), estimate[i], o, k)
    if (!is.na(span) && span > 0) put(paste0("people_effect_share", ends[i]), estimate[i] / span, o, k)
  }
  put("people_effect_n", length(repeated(rows, "value")), o, k)
  put("people_effect_n_reference", length(repeated(rows, "value_reference")), o, k)
}

# Predicted differences of each option's share from the reference in percentage points, over people in both.
put_option_effects <- function(o, k, ours, theirs, scale) {
  both <- intersect(ours$person, theirs$person)
  if (length(both) == 0) return(invisible())
  apart <- mean_shares(ours[ours$person %in% both, ], scale) - mean_shares(theirs[theirs$person %in% both, ], scale)
  for (i in seq_len(nrow(scale))) put("option_effect", 100 * apart[i], o, k, text_of(scale$value[i]))
}

# People's differences of each option's share in percentage points. Between people who gave one answer each, intervals
# are Newcombe's (1998, Statistics in Medicine 17, method 10).
put_people_options <- function(o, k, rows) {
  given <- as.numeric(c(rows$value, rows$value_reference))
  whole <- all(given[!is.na(given)] %in% c(0, 1))
  for (option in unique(rows$option)) {
    counted <- rows[rows$option == option, ]
    if (method_of(counted) == "welch" && whole) {
      sides <- lapply(c("value", "value_reference"), function(name) {
        chosen <- repeated(counted, name)
        wilson(c(sum(chosen), length(chosen) - sum(chosen)), length(chosen))
      })
      a <- lapply(sides[[1]], `[`, 1)
      b <- lapply(sides[[2]], `[`, 1)
      apart <- a$share - b$share
      estimate <- c(
        apart, apart - sqrt((a$share - a$low)^2 + (b$high - b$share)^2), apart + sqrt((a$high - a$share)^2 + (b$share - b$low)^2)
      )
    } else {
      estimate <- people_effect(counted)
    }
    for (i in 1:3) put(paste0("people_option_effect", c("", "_low", "_high")[i]), 100 * estimate[i], o, k, text_of(option))
  }
}

wide <- read_data("predicted_wide")
values <- read_data("values")
counts <- read_data("people_counts")
pairs <- read_data("people_differences")
single <- read_data("people_answers")
conditions <- read_data("conditions")
outcomes <- read_data("outcomes")
base <- conditions$condition[conditions$reference == 1]
answered <- wide[!is.na(wide$valid_mass), ]

# The range of an outcome's scale; NA for an open one.
span_of <- function(o) {
  if (outcomes$open[outcomes$outcome == o] == 1) return(NA_real_)
  diff(range(values$value[values$outcome == o]))
}

rows_of <- function(table, o, k) table[table$outcome == o & table$condition == k, , drop = FALSE]

panel <- read_data("panel")
put("n_people", nrow(panel))
put("n_profiles", length(unique(panel$profile)))
put("n_answers", nrow(answered))
put("valid_mass", weighted_mass(answered))
cells <- unique(answered[, c("outcome", "condition")])
for (i in seq_len(nrow(cells))) {
  o <- cells$outcome[i]
  k <- cells$condition[i]
  put_cell(o, k, rows_of(answered, o, k), values[values$outcome == o, ], rows_of(counts, o, k), rows_of(single, o, k))
}
units <- read_data("people_units")
answered_by_people <- unique(units[, c("outcome", "condition")])
for (i in seq_len(nrow(answered_by_people))) {
  o <- answered_by_people$outcome[i]
  k <- answered_by_people$condition[i]
  put_squared(o, k, rows_of(answered, o, k), values[values$outcome == o, ], rows_of(units, o, k))
}
seen <- counts[counts$seen_in_training == 1, , drop = FALSE]
put_means_over_cells(unique(paste(seen$outcome, seen$condition, sep = "/")))
for (i in seq_len(nrow(cells))) {
  o <- cells$outcome[i]
  k <- cells$condition[i]
  if (k == base) next
  if (outcomes$ordered[outcomes$outcome == o] != 1) {
    put_option_effects(o, k, rows_of(answered, o, k), rows_of(answered, o, base), values[values$outcome == o, ])
    next
  }
  put_effect(o, k, rows_of(answered, o, k), rows_of(answered, o, base), values[values$outcome == o, ])
}
options_of_people <- read_data("people_options")
effects <- unique(options_of_people[, c("outcome", "condition")])
for (i in seq_len(nrow(effects))) {
  put_people_options(effects$outcome[i], effects$condition[i], rows_of(options_of_people, effects$outcome[i], effects$condition[i]))
}
effects <- unique(pairs[, c("outcome", "condition")])
for (i in seq_len(nrow(effects))) {
  put_people_effect(effects$outcome[i], effects$condition[i], rows_of(pairs, effects$outcome[i], effects$condition[i]))
}
if (file.exists(file.path(folder, "data", "pairs.csv"))) put_refit()

# Whether predicted_long.csv has the probabilities of predicted_wide.csv, and its means are those of them.
unlike_wide <- function() {
  long <- read_data("predicted_long")
  place <- function(table) paste(table$person, table$condition, table$outcome)
  at <- match(place(long), place(wide))
  column <- match(paste0("p_", text_of(long$value)), names(wide))
  if (anyNA(at) || anyNA(column)) return("predicted_long.csv and predicted_wide.csv disagree")
  listed <- as.matrix(as.data.frame(lapply(wide, function(x) suppressWarnings(as.numeric(x)))))
  theirs <- listed[cbind(at, column)]
  ours <- as.numeric(long$probability)
  same <- ifelse(is.na(ours) | is.na(theirs), is.na(ours) & is.na(theirs), abs(ours - theirs) <= tolerance)
  n_listed <- sum(!is.na(listed[, grep("^p_", names(wide))]))
  if (!all(same) || sum(!is.na(ours)) != n_listed) return("predicted_long.csv and predicted_wide.csv disagree")
  sums <- tapply(ours * as.numeric(long$value), at, sum)
  stated <- listed[as.numeric(names(sums)), "mean"]
  is_ordered <- outcomes$ordered[match(wide$outcome[as.numeric(names(sums))], outcomes$outcome)] == 1
  apart <- is_ordered & !is.na(stated) & abs(stated - sums) > tolerance * pmax(1, abs(sums))
  if (any(apart)) return("predicted_wide.csv: mean is not that of its probabilities")
  character(0)
}

verdict(unlike_wide())
