# What analysis.R and comparison.R share: how data/ is read, how numbers are kept and checked, and measures of distance.
# They set `folder` before they source this file.

tolerance <- 1e-8
# Of numbers that rest on a calibration that is fitted again: two searches for one maximum end this close.
refit_tolerance <- 1e-5
refitted <- "^calibrated|^calibration_(slope|arm_sd|rmse$)"
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

# Says which numbers of report.html are not those of numbers.csv, in their attribute or as they are shown.
unlike_page <- function(stated) {
  page <- paste(readLines(file.path(folder, "report.html"), encoding = "UTF-8", warn = FALSE), collapse = "\n")
  pattern <- '<data data-key="([^"]*)" value="([^"]*)">([^<]*)</data>'
  marks <- regmatches(page, gregexpr(pattern, page, perl = TRUE))[[1]]
  if (length(marks) == 0) return(character(0))
  part <- function(place) sub(pattern, paste0("\\", place), marks, perl = TRUE)
  key <- part(1)
  value <- suppressWarnings(as.numeric(part(2)))
  number <- as.numeric(stated$number[match(key, stated$key)])
  label <- part(3)
  text <- gsub(",", "", gsub("\u2212", "-", label, fixed = TRUE), fixed = TRUE)
  percent <- ifelse(grepl("%$", text), 100, 1)
  text <- sub("^[+]", "", sub("%$", "", text))
  digits <- ifelse(grepl(".", text, fixed = TRUE), nchar(sub("^[^.]*[.]", "", text)), 0)
  shown <- suppressWarnings(as.numeric(text))
  same <- abs(value - number) <= tolerance * pmax(1, abs(number))
  same <- same & abs(shown - percent * number) <= 0.5000001 * 10^-digits
  same[is.na(same)] <- FALSE
  sprintf("%s: %s in report.html, %.17g in numbers.csv", key, label, number)[!same]
}

# Prints how numbers.csv differs from what was computed, after other `problems`, and ends. Keys that match
# `not_compared` are left out.
verdict <- function(problems = character(0), not_compared = "^$") {
  ours <- computed()
  stated <- read_csv(file.path(folder, "numbers.csv"))
  problems <- c(problems, unlike_page(stated))
  stated <- stated[!grepl(not_compared, stated$key), ]
  lost <- setdiff(stated$key, ours$key)
  extra <- setdiff(ours$key, stated$key)
  if (length(lost) > 0) problems <- c(problems, paste0(lost, ": in numbers.csv, but not computed"))
  if (length(extra) > 0) problems <- c(problems, paste0(extra, ": computed, but not in numbers.csv"))
  both <- stated$key[stated$key %in% ours$key]
  theirs <- as.numeric(stated$number[match(both, stated$key)])
  number <- ours$number[match(both, ours$key)]
  near <- ifelse(grepl(refitted, both), refit_tolerance, tolerance)
  close <- abs(theirs - number) <= near * pmax(1, abs(theirs))
  close <- ifelse(is.na(theirs) | is.na(number), is.na(theirs) & is.na(number), close)
  if (any(!close)) {
    problems <- c(problems, sprintf("%s: %.17g in numbers.csv, %.17g computed", both, theirs, number)[!close])
  }
  for (line in head(problems, 20)) cat(line, "\n")
  of_refit <- if (any(grepl(refitted, both))) sprintf(" (%g where a calibration is fitted again)", refit_tolerance) else ""
  cat(sprintf("%d numbers, %d differences, tolerance %g%s\n", nrow(stated), length(problems), tolerance, of_refit))
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

# Turns a standard deviation that divides by n into that of a sample, which divides by n - 1.
sample_factor <- function(n) if (n > 1) sqrt(n / (n - 1)) else NA_real_

# The share above the middle of the scale, with half of what is on it.
above_midpoint <- function(weights, places) {
  if (length(places) < 2 || is.na(sum(weights)) || sum(weights) <= 0) return(NA_real_)
  middle <- (places[1] + places[length(places)]) / 2
  (sum(weights[places > middle]) + sum(weights[places == middle]) / 2) / sum(weights)
}

# The answers of people_differences.csv in a column, one for each person.
repeated <- function(counted, column) {
  given <- !is.na(counted[[column]])
  rep(as.numeric(counted[[column]][given]), counted$n[given])
}

# How much of each answer counts for each value, a row an answer: one between two values for both, so that means stay.
memberships <- function(answers, values) {
  k <- length(values)
  weights <- matrix(0, length(answers), k)
  inside <- which(!is.na(answers) & answers >= values[1] & answers <= values[k])
  if (length(inside) == 0) return(weights)
  if (k == 1) {
    weights[inside, 1] <- 1
    return(weights)
  }
  lower <- findInterval(answers[inside], values, rightmost.closed = TRUE)
  share <- (answers[inside] - values[lower]) / (values[lower + 1] - values[lower])
  weights[cbind(inside, lower)] <- 1 - share
  weights[cbind(inside, lower + 1)] <- share
  weights
}

cumulated <- function(rows) {
  for (j in seq_len(ncol(rows))[-1]) rows[, j] <- rows[, j - 1] + rows[, j]
  rows
}

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

# How the two sides of an effect in people_differences.csv are compared; "welch" without anybody.
method_of <- function(counted) if (nrow(counted) == 0) "welch" else counted$method[1]

or_else <- function(x, other) ifelse(is.na(x), other, as.numeric(x))

# The difference of a clustered effect, its CR2 standard error, and Satterthwaite's degrees of freedom. NA without an
# interval: fewer than two clusters on a side, nobody in a block who could be compared, or answers that do not differ
# (Pustejovsky & Tipton 2018, Journal of Business & Economic Statistics 36).
clustered <- function(counted) {
  people <- counted[rep(seq_len(nrow(counted)), counted$n), ]
  people$group <- or_else(people$cluster, -seq_len(nrow(people)))
  ours <- people[!is.na(people$value), ]
  theirs <- people[!is.na(people$value_reference), ]
  if (nrow(ours) == 0 || nrow(theirs) == 0) return(c(NA_real_, NA_real_, NA_real_))
  answers <- rbind(ours, theirs)
  treated <- rep(c(1, 0), c(nrow(ours), nrow(theirs)))
  y <- c(as.numeric(ours$value), as.numeric(theirs$value_reference))
  w <- or_else(answers$weight, 1)
  w <- w / mean(w)
  block <- or_else(answers$block, 0)
  x <- cbind(treated, outer(block, sort(unique(block)), "==") + 0)
  weighted <- x * w
  cross <- crossprod(x, weighted)
  inside <- cross[1, 1] - sum(cross[1, -1]^2 / diag(cross)[-1])
  if (ncol(x) > 1001 || inside <= 1e-9 * cross[1, 1]) return(c(NA_real_, NA_real_, NA_real_))
  inverse <- solve(cross)
  beta <- inverse %*% crossprod(weighted, y)
  left <- y - x %*% beta
  if (min(tapply(answers$group, treated, function(g) length(unique(g)))) < 2) return(c(beta[1], NA_real_, NA_real_))
  square <- inverse %*% crossprod(weighted) %*% inverse
  kernel <- rbind(cbind(square, -inverse), cbind(-inverse, matrix(0, ncol(x), ncol(x))))
  both <- cbind(x, weighted)
  score <- weighted %*% inverse[, 1]
  groups <- split(seq_along(y), answers$group)
  # (I - H)(I - H)' among the answers of the cluster, for residuals (I - H) y
  fitted <- vapply(groups, function(at) {
    z <- both[at, , drop = FALSE]
    turned <- eigen(diag(length(at)) + z %*% kernel %*% t(z), symmetric = TRUE)
    roots <- ifelse(turned$values > 1e-9, 1 / sqrt(pmax(turned$values, 1e-9)), 0)
    pull <- turned$vectors %*% (roots * crossprod(turned$vectors, score[at]))
    c(sum(pull * left[at])^2, sum(pull^2), crossprod(z, pull))
  }, numeric(2 + ncol(both)))
  variance <- sum(fitted[1, ])
  z <- t(fitted[-(1:2), , drop = FALSE])
  through <- rowSums((z %*% kernel) * z)
  turned <- kernel %*% crossprod(z)
  squares <- sum((fitted[2, ] + through)^2 - through^2) + sum(diag(turned %*% turned))
  if (!(variance > 0 && squares > 0)) return(c(beta[1], NA_real_, NA_real_))
  c(beta[1], sqrt(variance), sum(fitted[2, ] + through)^2 / squares)
}

# The people of a cell of people_answers.csv, and as how many asked one by one they count for its shares: the people
# over the design effect of all options together (Rao & Scott 1981, JASA 76), for an interval with z although clusters
# are few (Korn & Graubard 1998, Survey Methodology 24).
effective_size <- function(answers) {
  people <- sort(unique(answers$person))
  values <- sort(unique(answers$value))
  counts <- matrix(0, length(people), length(values))
  at <- cbind(match(answers$person, people), match(answers$value, values))
  for (i in seq_len(nrow(at))) counts[at[i, 1], at[i, 2]] <- counts[at[i, 1], at[i, 2]] + answers$n[i]
  first <- answers[match(people, answers$person), ]
  n <- rowSums(counts)
  weight <- n * or_else(first$weight, 1)
  shares <- counts / n
  overall <- colSums(weight * shares) / sum(weight)
  apart <- rowsum(weight * sweep(shares, 2, overall) / sum(weight), or_else(first$cluster, -1 - first$person))
  k <- nrow(apart)
  if (k < 2) return(c(length(n), NA_real_))
  error <- sum(apart^2) * k / (k - 1)
  one <- sum(overall * (1 - overall))
  size <- if (error > 0 && one > 0) (qnorm(0.975) / qt(0.975, k - 1))^2 * one / error else k
  c(length(n), min(size, sum(n)))
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
