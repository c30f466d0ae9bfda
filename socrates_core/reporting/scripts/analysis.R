# Computes every number of report.html again from data/ and compares it with numbers.csv.
#
#     Rscript analysis.R            base R alone, no package
#
# Ends with 0 where every number agrees within the tolerance (relative to numbers above 1), else with 1 and the
# first differences. Keys are quantity/outcome/condition/value, as codebook.csv tells.

tolerance <- 1e-8

script_folder <- function() {
  given <- grep("^--file=", commandArgs(FALSE), value = TRUE)
  if (length(given) == 0) return(".")
  dirname(gsub("~+~", " ", sub("^--file=", "", given[1]), fixed = TRUE))
}

folder <- script_folder()

read_csv <- function(path) {
  read.csv(path, check.names = FALSE, na.strings = "", stringsAsFactors = FALSE, encoding = "UTF-8")
}

read_data <- function(name) read_csv(file.path(folder, "data", paste0(name, ".csv")))

text_of <- function(value) sprintf("%.15g", as.numeric(value))

computed <- new.env()
computed$key <- character(0)
computed$number <- numeric(0)

put <- function(quantity, number, ...) {
  computed$key <- c(computed$key, paste(c(quantity, ...), collapse = "/"))
  computed$number <- c(computed$number, as.numeric(number))
}

# Prints how numbers.csv differs from what was computed, after what is `wrong` already, and ends. Keys like `left_out`
# are not compared.
verdict <- function(wrong = character(0), left_out = "^$") {
  told <- read_csv(file.path(folder, "numbers.csv"))
  told <- told[!grepl(left_out, told$key), ]
  lost <- setdiff(told$key, computed$key)
  extra <- setdiff(computed$key, told$key)
  if (length(lost) > 0) wrong <- c(wrong, paste0(lost, ": in numbers.csv, but not computed"))
  if (length(extra) > 0) wrong <- c(wrong, paste0(extra, ": computed, but not in numbers.csv"))
  there <- told$key %in% computed$key
  stated <- as.numeric(told$number[there])
  found <- computed$number[match(told$key[there], computed$key)]
  close <- abs(stated - found) <= tolerance * pmax(1, abs(stated))
  close <- ifelse(is.na(stated) | is.na(found), is.na(stated) & is.na(found), close)
  if (any(!close)) {
    wrong <- c(wrong, sprintf("%s: %.17g in numbers.csv, %.17g computed", told$key[there], stated, found)[!close])
  }
  for (line in head(wrong, 20)) cat(line, "\n")
  cat(sprintf("%d numbers, %d differences, tolerance %g\n", nrow(told), length(wrong), tolerance))
  quit(status = if (length(wrong) > 0) 1 else 0)
}

mean_of <- function(x) if (length(x) == 0) NA_real_ else mean(x)

moments <- function(weights, places) {
  total <- sum(weights)
  if (is.na(total) || total <= 0) return(c(NA_real_, NA_real_))
  middle <- sum(weights * places) / total
  c(middle, sqrt(sum(weights * (places - middle)^2) / total))
}

# A row of probabilities for every person with a valid answer, over all values of the outcome.
distributions <- function(rows, scale) {
  drawn <- which(!is.na(scale$column))
  told <- as.matrix(rows[rows$valid_mass > 0, scale$column[drawn], drop = FALSE])
  spread <- matrix(0, nrow = nrow(told), ncol = nrow(scale))
  spread[, drawn] <- as.numeric(told)
  spread
}

# Whether answers are draws and no exact probabilities; then the stated range is not used.
is_drawn <- function(rows) max(rows$n_samples) > 0

wilson <- function(n) {
  total <- sum(n)
  if (total == 0) return(list(share = n * NA, low = n * NA, high = n * NA))
  z <- qnorm(0.975)
  share <- n / total
  middle <- (n + z^2 / 2) / (total + z^2)
  margin <- z / (1 + z^2 / total) * sqrt(share * (1 - share) / total + z^2 / (4 * total^2))
  list(share = share, low = ifelse(n == 0, 0, middle - margin), high = ifelse(n == total, 1, middle + margin))
}

# The lowest and the highest value: of people's answers, or of the scale.
ends <- function(places, n, range_name) {
  used <- if (range_name == "observed") places[n > 0] else places
  if (length(used) == 0) c(NA_real_, NA_real_) else range(used)
}

# W of a distribution to people: the area between their cumulative shares, in shares of the range.
distance <- function(places, guess, n, range_name) {
  range <- ends(places, n, range_name)
  total <- sum(guess)
  if (sum(n) < 2 || is.na(range[1]) || range[2] <= range[1] || is.na(total) || total <= 0) return(NA_real_)
  at <- pmin(pmax((places - range[1]) / (range[2] - range[1]), 0), 1)
  below <- abs(cumsum(guess) / total - cumsum(n) / sum(n))
  sum(below[-length(below)] * diff(at))
}

# The mean W between two halves of the people: below each gap of the scale their number is hypergeometric.
half_sample <- function(places, n, range_name) {
  range <- ends(places, n, range_name)
  total <- round(sum(n))
  half <- total %/% 2
  if (total < 4 || is.na(range[1]) || range[2] <= range[1]) return(NA_real_)
  apart <- function(below) {
    x <- 0:half
    sum(dhyper(x, below, 2 * half - below, half) * abs(2 * x - below)) / half
  }
  found <- 0
  gaps <- diff(places)
  halved <- function(below) {
    if (below <= 0 || below >= total) return(0)
    if (total %% 2 == 0) return(apart(below))
    # the one who sits out is below with the chance below / total
    below / total * apart(below - 1) + (1 - below / total) * apart(below)
  }
  for (i in seq_along(gaps)) {
    below <- sum(n[seq_len(i)])
    whole <- floor(below + 1e-9) # answers between two values count for both: people may be no whole number
    part <- max(below - whole, 0)
    found <- found + gaps[i] * ((1 - part) * halved(whole) + part * halved(whole + 1))
  }
  found / (range[2] - range[1])
}

# How many different profiles have a valid answer: personas with the same one are one simulated person.
n_profiles <- function(rows) length(unique(rows$profile[rows$valid_mass > 0]))

put_cell <- function(o, k, rows, scale, people) {
  is_ordered <- outcomes$ordered[outcomes$outcome == o] == 1
  places <- as.numeric(scale$value)
  told <- distributions(rows, scale)
  shares <- if (nrow(told) > 0) colMeans(told) else rep(NA_real_, length(places))
  spread <- if (is_ordered) moments(shares, places) else c(NA_real_, NA_real_)
  put("n", n_profiles(rows), o, k)
  put("mean", spread[1], o, k)
  put("sd", spread[2], o, k)
  put("valid_mass", mean_of(rows$valid_mass), o, k)
  for (i in seq_along(places)) put("share", shares[i], o, k, text_of(places[i]))
  if (nrow(people) == 0) return(invisible())
  given <- people[!is.na(people$value), ]
  given <- given[match(text_of(places), text_of(given$value)), ]
  n <- as.numeric(given$n)
  spread <- if (is_ordered) moments(n, places) else c(NA_real_, NA_real_)
  put("people_n", sum(n), o, k)
  put("people_n_off_scale", sum(people$n[is.na(people$value)]), o, k)
  put("people_mean", spread[1], o, k)
  put("people_sd", spread[2], o, k)
  sure <- wilson(n)
  for (i in seq_along(places)) {
    put("people_share", sure$share[i], o, k, text_of(places[i]))
    put("people_share_low", sure$low[i], o, k, text_of(places[i]))
    put("people_share_high", sure$high[i], o, k, text_of(places[i]))
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
    put(paste0(name, "_oracle"), half / 2, o, k)
  }
}

# The mean of each W over the cells that were not seen in training, and their number.
put_overall <- function(seen) {
  places <- sub("^[^/]*/", "", computed$key)
  scored <- grepl("^w_", computed$key) & !(places %in% seen) & !is.na(computed$number)
  by_name <- split(computed$number[scored], sub("/.*", "", computed$key[scored]))
  for (name in names(by_name)) {
    put(name, mean(by_name[[name]]))
    put(paste0("n_", name), length(by_name[[name]]))
  }
}

# A predicted difference in means against the reference, over the personas who answered both.
put_effect <- function(o, k, ours, theirs, scale) {
  scale <- scale[!is.na(scale$column), ]
  both <- intersect(ours$person, theirs$person)
  if (length(both) == 0 || nrow(scale) == 0) return(invisible())
  places <- as.numeric(scale$value)
  mean_predicted <- function(rows) {
    told <- distributions(rows[rows$person %in% both, ], scale)
    c(
      if (nrow(told) > 0) moments(colMeans(told), places)[1] else NA_real_,
      n_profiles(rows[rows$person %in% both, ])
    )
  }
  treated <- mean_predicted(ours)
  difference <- treated[1] - mean_predicted(theirs)[1]
  put("effect", difference, o, k)
  put("effect_n", treated[2], o, k)
  span <- span_of(o)
  if (!is.na(span) && span > 0) put("effect_share", difference / span, o, k)
}

variance <- function(x) if (max(x) == min(x)) 0 else var(x)

# People's difference with its 95% interval: paired where both answers are one person's, else Welch's.
put_people_effect <- function(o, k, rows) {
  has_ours <- !is.na(rows$value)
  has_theirs <- !is.na(rows$value_reference)
  ours <- rep(as.numeric(rows$value[has_ours]), rows$n[has_ours])
  theirs <- rep(as.numeric(rows$value_reference[has_theirs]), rows$n[has_theirs])
  error <- NA_real_
  freedom <- NA_real_
  if (all(has_ours & has_theirs)) {
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
  difference <- mean_of(ours) - mean_of(theirs)
  margin <- if (!is.na(error) && error > 0) qt(0.975, freedom) * error else NA_real_
  put("people_effect", difference, o, k)
  put("people_effect_low", difference - margin, o, k)
  put("people_effect_high", difference + margin, o, k)
  span <- span_of(o)
  if (!is.na(span) && span > 0) {
    put("people_effect_share", difference / span, o, k)
    put("people_effect_share_low", (difference - margin) / span, o, k)
    put("people_effect_share_high", (difference + margin) / span, o, k)
  }
  put("people_effect_n", length(ours), o, k)
  put("people_effect_n_reference", length(theirs), o, k)
}

# People's true effects to expect, with t intervals; `fitted` is the one row of calibration.csv.
put_calibrated <- function(fitted) {
  for (name in names(fitted)) put(paste0("calibration_", name), fitted[[name]][1])
  for (at in grep("^effect_share/", computed$key)) {
    share <- computed$number[at]
    if (is.na(share)) next
    place <- strsplit(computed$key[at], "/", fixed = TRUE)[[1]][-1]
    span <- span_of(as.numeric(place[1]))
    spread <- sqrt(fitted$study_sd^2 + fitted$arm_sd^2 + (fitted$slope_se * share)^2)
    middle <- fitted$slope * share
    put("calibrated", span * middle, place)
    for (level in c(50, 80, 90)) {
      reach <- qt(0.5 + level / 200, fitted$n_studies - 2) * spread
      put(paste0("calibrated_low_", level), span * (middle - reach), place)
      put(paste0("calibrated_high_", level), span * (middle + reach), place)
    }
  }
}

wide <- read_data("predicted_wide")
values <- read_data("values")
counts <- read_data("people_counts")
pairs <- read_data("people_differences")
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

put("n_people", nrow(read_data("panel")))
put("n_answers", nrow(answered))
put("valid_mass", mean_of(answered$valid_mass))
cells <- unique(answered[, c("outcome", "condition")])
for (i in seq_len(nrow(cells))) {
  o <- cells$outcome[i]
  k <- cells$condition[i]
  put_cell(o, k, rows_of(answered, o, k), values[values$outcome == o, ], rows_of(counts, o, k))
}
seen <- counts[counts$seen_in_training == 1, , drop = FALSE]
put_overall(unique(paste(seen$outcome, seen$condition, sep = "/")))
for (i in seq_len(nrow(cells))) {
  o <- cells$outcome[i]
  k <- cells$condition[i]
  if (outcomes$ordered[outcomes$outcome == o] != 1) next
  if (k != base) put_effect(o, k, rows_of(answered, o, k), rows_of(answered, o, base), values[values$outcome == o, ])
}
effects <- unique(pairs[, c("outcome", "condition")])
for (i in seq_len(nrow(effects))) {
  put_people_effect(effects$outcome[i], effects$condition[i], rows_of(pairs, effects$outcome[i], effects$condition[i]))
}
if (file.exists(file.path(folder, "data", "calibration.csv"))) put_calibrated(read_data("calibration"))

verdict()
