# What analysis.R and comparison.R share: how data/ is read, how numbers are kept and checked, and measures of distance.
# They set `folder` before they source this file.

tolerance <- 1e-8
unseen <- 0.2 # how often an end of a scale is taken to hold somebody, before any answer

read_csv <- function(path) {
  read.csv(path, check.names = FALSE, na.strings = "", stringsAsFactors = FALSE, encoding = "UTF-8")
}

read_data <- function(name) read_csv(file.path(folder, "data", paste0(name, ".csv")))

kept <- new.env()
kept$key <- list()
kept$number <- list()

# Keeps numbers, one for each place. A place that is NA stays empty in the key, and empty ones at its end are left out.
put <- function(quantity, number, ...) {
  n <- length(number)
  if (n == 0) return(invisible())
  places <- lapply(list(...), function(place) ifelse(is.na(place), "", place))
  key <- do.call(paste, c(list(quantity), places, sep = "/"))
  kept$key[[length(kept$key) + 1]] <- sub("/+$", "", rep_len(key, n))
  kept$number[[length(kept$number) + 1]] <- as.numeric(number)
}

computed <- function() list(key = as.character(unlist(kept$key)), number = as.numeric(unlist(kept$number)))

# Prints how numbers.csv differs from what was computed, after other `problems`, and ends. Keys that match
# `not_compared` are left out.
verdict <- function(problems = character(0), not_compared = "^$") {
  ours <- computed()
  stated <- read_csv(file.path(folder, "numbers.csv"))
  stated <- stated[!grepl(not_compared, stated$key), ]
  lost <- setdiff(stated$key, ours$key)
  extra <- setdiff(ours$key, stated$key)
  if (length(lost) > 0) problems <- c(problems, paste0(lost, ": in numbers.csv, but not computed"))
  if (length(extra) > 0) problems <- c(problems, paste0(extra, ": computed, but not in numbers.csv"))
  both <- stated$key[stated$key %in% ours$key]
  theirs <- as.numeric(stated$number[match(both, stated$key)])
  number <- ours$number[match(both, ours$key)]
  close <- abs(theirs - number) <= tolerance * pmax(1, abs(theirs))
  close <- ifelse(is.na(theirs) | is.na(number), is.na(theirs) & is.na(number), close)
  if (any(!close)) {
    problems <- c(problems, sprintf("%s: %.17g in numbers.csv, %.17g computed", both, theirs, number)[!close])
  }
  for (line in head(problems, 20)) cat(line, "\n")
  cat(sprintf("%d numbers, %d differences, tolerance %g\n", nrow(stated), length(problems), tolerance))
  quit(status = if (length(problems) > 0) 1 else 0)
}

mean_of <- function(x) if (length(x) == 0) NA_real_ else mean(x)

variance <- function(x) if (max(x) == min(x)) 0 else var(x)

moments <- function(weights, places) {
  total <- sum(weights)
  if (is.na(total) || total <= 0) return(c(NA_real_, NA_real_))
  middle <- sum(weights * places) / total
  c(middle, sqrt(sum(weights * (places - middle)^2) / total))
}

# The answers of people_differences.csv in a column, one for each person.
repeated <- function(counted, column) {
  given <- !is.na(counted[[column]])
  rep(as.numeric(counted[[column]][given]), counted$n[given])
}

# Whether both answers of every row are one person's.
is_paired <- function(counted) !any(is.na(counted$value) | is.na(counted$value_reference))

# The lowest and the highest value: of people's answers for "observed", otherwise of the scale.
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
  halved <- function(below) {
    if (below <= 0 || below >= total) return(0)
    if (total %% 2 == 0) return(apart(below))
    # with an odd number one person is in neither half, and is below with the chance below / total
    below / total * apart(below - 1) + (1 - below / total) * apart(below)
  }
  area <- 0
  gaps <- diff(places)
  for (i in seq_along(gaps)) {
    # an answer between two values counts for both, so the people below may be no whole number
    below <- sum(n[seq_len(i)])
    whole <- floor(below + 1e-9)
    part <- max(below - whole, 0)
    area <- area + gaps[i] * ((1 - part) * halved(whole) + part * halved(whole + 1))
  }
  area / (range[2] - range[1])
}

# The expected W of the true distribution to these people: half of the half-sample, and what nobody showed.
oracle <- function(places, n, range_name) {
  half <- half_sample(places, n, range_name)
  if (range_name == "observed" || is.na(half)) return(half / 2)
  total <- round(sum(n))
  below <- cumsum(n)[-length(n)]
  beyond <- sum(diff(places)[below < 1e-9 | below > total - 1e-9])
  missed <- 2 * exp(lbeta(unseen + 1, 2 * total + unseen) - lbeta(unseen, total + unseen))
  half / 2 + missed * beyond / diff(range(places))
}
