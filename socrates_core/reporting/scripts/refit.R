# Fits the calibration again on the effects of other studies in data/pairs.csv. A part of analysis.R.
#
#     people's effects = (slope + study's own) * true predicted effects + condition discrepancies + errors
#     predicted effects = true predicted effects + errors
#
# The line goes through the origin, so its intercept is 0: which condition is called the reference, and in which
# direction an outcome is coded, must not matter. The covariances of the errors are in data/pair_errors.csv.

starts <- list(c(0.5, 0.5), c(0.01, 1), c(3, 0.1)) # of the two variances, in units of what they are measured in
rounds <- 20 # of the fit, each with the slope of the last one in its variances
settled <- 1e-5 # a change of the slope that ends the rounds

# The effects of each study that can be fitted: both are there, and a positive standard error of people's. `errors` is the
# covariance of people's errors, then of the predicted effects'. `shared` is 1 on the diagonal and 1/2 for effects of
# one outcome, which have a reference in common.
read_studies <- function() {
  pairs <- read_data("pairs")
  listed <- read_data("pair_errors")
  studies <- lapply(unique(pairs$study), function(name) {
    of_study <- pairs[pairs$study == name, ]
    triangle <- listed[listed$study == name, ]
    n <- nrow(of_study)
    errors <- matrix(0, 2 * n, 2 * n)
    errors[cbind(triangle$first, triangle$second) + 1] <- as.numeric(triangle$covariance)
    errors[cbind(triangle$second, triangle$first) + 1] <- as.numeric(triangle$covariance)
    shared <- outer(of_study$outcome, of_study$outcome, "==") / 2
    diag(shared) <- 1
    used <- is.finite(of_study$human) & is.finite(of_study$predicted) & is.finite(of_study$human_se) & of_study$human_se > 0
    both <- c(used, used)
    list(
      human = of_study$human[used], predicted = of_study$predicted[used], se = of_study$human_se[used],
      errors = errors[both, both, drop = FALSE], shared = shared[used, used, drop = FALSE]
    )
  })
  studies[sapply(studies, function(study) length(study$human) > 0)]
}

part_of <- function(study, rows, columns) {
  n <- length(study$human)
  place <- list(human = seq_len(n), predicted = n + seq_len(n))
  study$errors[place[[rows]], place[[columns]], drop = FALSE]
}

inverse_root <- function(matrix) {
  turned <- eigen(matrix, symmetric = TRUE)
  turned$vectors %*% (t(turned$vectors) / sqrt(turned$values))
}

# The variance of true predicted effects, and the variance of this estimate; infinite and 0 without noise.
signal_of <- function(studies) {
  if (!any(sapply(studies, function(study) any(part_of(study, "predicted", "predicted") != 0)))) return(c(Inf, 0))
  turned <- lapply(studies, function(study) {
    half <- inverse_root(study$shared)
    noise <- eigen(half %*% part_of(study, "predicted", "predicted") %*% half, symmetric = TRUE)
    cbind(pmax(noise$values, 0), (crossprod(noise$vectors, half) %*% study$predicted)^2)
  })
  turned <- do.call(rbind, turned)
  noise <- turned[, 1]
  square <- turned[, 2]
  top <- 4 * mean(square)
  deviance <- function(log_signal) sum(log(exp(log_signal) + noise) + square / (exp(log_signal) + noise))
  signal <- exp(optimize(deviance, log(c(1e-9 * top, top)), tol = 1e-10)$minimum)
  if (signal < 1e-6 * top) return(c(0, 0))
  variance <- 2 / sum(1 / (signal + noise)^2)
  # the slope divides by this variance: without the second term its mean would be too large
  c(signal + mean(noise / (signal + noise)) * variance / signal, variance)
}

# Takes the noise out of predicted effects whose true values have the variance `signal`; infinite: no noise.
known_of <- function(study, signal) {
  n <- length(study$human)
  human <- part_of(study, "human", "human")
  both <- part_of(study, "human", "predicted")
  noise <- part_of(study, "predicted", "predicted")
  none <- matrix(0, n, n)
  if (is.infinite(signal) || all(noise == 0)) {
    return(list(predicted = study$predicted, unknown = none, error = rep(0, n), covariance = human, both = none))
  }
  true <- signal * study$shared
  inverse <- solve(true + noise)
  list(
    predicted = as.numeric(true %*% inverse %*% study$predicted), unknown = true - true %*% inverse %*% true,
    error = as.numeric(both %*% inverse %*% study$predicted), covariance = human - both %*% inverse %*% t(both),
    both = -true %*% inverse %*% t(both)
  )
}

# The covariance of people's effects around the line, without discrepancies.
around_line <- function(known, slope, slope_sd) {
  known$covariance + (slope^2 + slope_sd^2) * known$unknown + slope * (known$both + t(known$both))
}

# Effects turned so that the errors of a study are independent: its discrepancies have one variance each.
turned_effects <- function(studies, known, slope, slope_sd) {
  parts <- lapply(seq_along(studies), function(s) {
    half <- inverse_root(studies[[s]]$shared)
    errors <- eigen(half %*% around_line(known[[s]], slope, slope_sd) %*% half, symmetric = TRUE)
    turn <- crossprod(errors$vectors, half)
    y <- turn %*% (studies[[s]]$human - known[[s]]$error)
    cbind(s, y, pmax(errors$values, 0), turn %*% known[[s]]$predicted)
  })
  parts <- do.call(rbind, parts)
  list(study = parts[, 1], y = parts[, 2], v = parts[, 3], x = parts[, 4])
}

# -2 log restricted likelihood up to a constant, its slopes along the two variances, and the line.
restricted <- function(effects, variances) {
  between <- variances[1]
  w <- 1 / (effects$v + variances[2])
  products <- cbind(effects$x^2, effects$x * effects$y, effects$y^2)
  sums <- rowsum(w * products, effects$study)
  changes <- -rowsum(w^2 * products, effects$study)
  xx <- sums[, 1]
  xy <- sums[, 2]
  h <- 1 / (1 + between * xx)
  sxx <- sum(xx * h)
  slope <- sum(xy * h) / sxx
  value <- -sum(log(h)) - sum(log(w)) + log(sxx) + sum(sums[, 3]) - between * sum(xy^2 * h) - slope^2 * sxx
  # the slope is the best one, so it adds nothing of its own
  by_between <- sum(xx * h) - sum(xx^2 * h^2) / sxx - sum((xy - slope * xx)^2 * h^2)
  dxx <- changes[, 1]
  dxy <- changes[, 2]
  by_within <- between * sum(dxx * h) + sum(w) + sum(dxx * h^2) / sxx + sum(changes[, 3]) -
    2 * between * sum(xy * dxy * h) + between^2 * sum(xy^2 * dxx * h^2) -
    2 * slope * (sum(dxy * h) - between * sum(xy * dxx * h^2)) + slope^2 * sum(dxx * h^2)
  list(value = value, gradient = c(by_between, by_within), slope = slope, slope_variance = 1 / sxx)
}

# The variances of slopes between studies and of discrepancies, the second kept off 0 by a penalty.
variances_of <- function(effects, near) {
  x <- effects$x
  residual <- effects$y - x * sum(x * effects$y) / sum(x^2)
  within <- max(mean(residual^2), 1e-12)
  units <- c(within / mean(x^2), within)
  value <- function(components) restricted(effects, units * components)$value - log(components[2])
  gradient <- function(components) {
    units * restricted(effects, units * components)$gradient - c(0, 1 / components[2])
  }
  from <- if (is.null(near)) starts else list(pmax(near / units, c(0, 1e-8)))
  fits <- lapply(from, function(start) {
    optim(start, value, gradient, method = "L-BFGS-B", lower = c(0, 1e-8), control = list(factr = 1, pgtol = 1e-10, maxit = 1000))
  })
  # a result at its bound can lie below it by rounding
  units * pmax(fits[[which.min(sapply(fits, `[[`, "value"))]]$par, c(0, 1e-8))
}

# The fit for one variance of the signal; with the two spreads of another fit where one is given.
fit_with <- function(studies, signal, like = NULL) {
  known <- lapply(studies, known_of, signal)
  slope <- if (is.null(like)) 1 else like$slope
  slope_sd <- if (is.null(like)) 0 else like$slope_sd
  variances <- if (is.null(like)) NULL else c(like$slope_sd^2, like$arm_sd^2)
  for (round in seq_len(rounds)) {
    effects <- turned_effects(studies, known, slope, slope_sd)
    if (is.null(like)) variances <- variances_of(effects, variances)
    line <- restricted(effects, variances)
    change <- abs(line$slope - slope)
    slope <- line$slope
    slope_sd <- sqrt(variances[1])
    if (change < settled || is.infinite(signal)) break
  }
  list(slope = slope, slope_se = sqrt(line$slope_variance), slope_sd = slope_sd, arm_sd = sqrt(variances[2]), signal = signal)
}

# Restricted maximum likelihood; NULL where the predicted effects are noise alone.
fit_calibration <- function(studies) {
  signal <- signal_of(studies)
  if (signal[1] <= 0) return(NULL)
  fitted <- fit_with(studies, signal[1])
  if (is.finite(signal[1]) && signal[2] > 0) {
    # how the slope moves with the variance of the signal, which is itself an estimate (delta method)
    step <- 1e-3 * signal[1]
    ends <- sapply(c(-1, 1), function(way) fit_with(studies, signal[1] + way * step, fitted)$slope)
    fitted$slope_se <- sqrt(fitted$slope_se^2 + signal[2] * (diff(ends) / (2 * step))^2)
  }
  fitted
}

root_mean_square <- function(differences) sqrt(mean(differences^2))

# The errors of calibrated, raw and no effects, and how many of people's lie in the 90% intervals. Every study is
# predicted by a calibration that is fitted on all others.
put_held_out <- function(studies) {
  predicted <- lapply(seq_along(studies), function(s) {
    study <- studies[[s]]
    fitted <- fit_calibration(studies[-s])
    if (is.null(fitted)) { # without this study nothing but noise is predicted
      return(cbind(-study$human, qnorm(0.95) * study$se))
    }
    known <- known_of(study, fitted$signal)
    effect <- fitted$slope * known$predicted + known$error
    doubt <- (fitted$slope_sd^2 + fitted$slope_se^2) * known$predicted^2 + fitted$arm_sd^2
    variance <- doubt + diag(around_line(known, fitted$slope, fitted$slope_sd))
    cbind(effect - study$human, qt(0.95, length(studies) - 3) * sqrt(variance))
  })
  predicted <- do.call(rbind, predicted)
  human <- unlist(lapply(studies, `[[`, "human"))
  put("calibration_rmse", root_mean_square(predicted[, 1]))
  put("calibration_rmse_raw", root_mean_square(unlist(lapply(studies, `[[`, "predicted")) - human))
  put("calibration_rmse_zero", root_mean_square(human))
  put("calibration_coverage_90", mean(abs(predicted[, 1]) <= predicted[, 2]))
}

# People's true effects to expect, with t intervals.
put_calibrated <- function(fitted, n_studies) {
  predicted <- computed()
  for (at in grep("^effect_share/", predicted$key)) {
    share <- predicted$number[at]
    if (is.na(share)) next
    place <- strsplit(predicted$key[at], "/", fixed = TRUE)[[1]][-1]
    span <- span_of(as.numeric(place[1]))
    spread <- sqrt(fitted$arm_sd^2 + (fitted$slope_sd^2 + fitted$slope_se^2) * share^2)
    middle <- fitted$slope * share
    put("calibrated", span * middle, place[1], place[2])
    for (level in c(50, 80, 90)) {
      reach <- qt(0.5 + level / 200, n_studies - 2) * spread
      put(paste0("calibrated_low_", level), span * (middle - reach), place[1], place[2])
      put(paste0("calibrated_high_", level), span * (middle + reach), place[1], place[2])
    }
  }
}

# The calibration, how it did on studies left out one at a time, and the effects to expect.
put_refit <- function() {
  studies <- read_studies()
  fitted <- fit_calibration(studies)
  if (is.null(fitted)) return(invisible())
  for (name in c("slope", "slope_se", "slope_sd", "arm_sd")) put(paste0("calibration_", name), fitted[[name]])
  put("calibration_n_studies", length(studies))
  put("calibration_n_effects", sum(sapply(studies, function(study) length(study$human))))
  put_held_out(studies)
  put_calibrated(fitted, length(studies))
}
