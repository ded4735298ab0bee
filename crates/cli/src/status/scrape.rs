//! One scrape of a service: Prometheus' text format, as far as it is needed.

use std::collections::HashMap;

/// The series of a scrape, by the name of their metric.
#[derive(Debug, Default, Clone)]
pub(super) struct Scrape {
    series: HashMap<String, Vec<(String, f64)>>,
}

impl Scrape {
    /// What cannot be read is passed over.
    pub(super) fn parse(text: &str) -> Self {
        let mut scrape = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse() else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels.trim_end_matches('}').to_owned();
            scrape.series.entry(name.to_owned()).or_default().push((labels, value));
        }
        scrape
    }

    fn of(&self, metric: &str) -> &[(String, f64)] {
        self.series.get(metric).map_or(&[], Vec::as_slice)
    }

    /// The sum of a metric's series; 0 if there is none.
    pub(super) fn sum(&self, metric: &str) -> f64 {
        self.of(metric).iter().map(|(_, value)| value).sum()
    }

    /// The value of a label in the metric's first series.
    pub(super) fn label(&self, metric: &str, label: &str) -> Option<&str> {
        let (labels, _) = self.of(metric).first()?;
        let (_, rest) = labels.split_once(&format!("{label}=\""))?;
        rest.split('"').next()
    }

    /// The observations of a histogram below each bound, ascending: all of its series together.
    pub(super) fn buckets(&self, metric: &str) -> Buckets {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (labels, count) in self.of(&format!("{metric}_bucket")) {
            let bound = labels.split_once("le=\"").and_then(|(_, rest)| rest.split('"').next());
            let Some(bound) = bound.and_then(|bound| bound.parse::<f64>().ok()) else { continue };
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, sum)) => *sum += count,
                None => buckets.push((bound, *count)),
            }
        }
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        Buckets(buckets)
    }
}

/// How many observations are at most each bound.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Buckets(Vec<(f64, f64)>);

impl Buckets {
    /// Those of both.
    pub(super) fn plus(self, other: Self) -> Self {
        if self.0.is_empty() {
            return other;
        }
        let of =
            |bound: f64| other.0.iter().find(|(known, _)| *known == bound).map_or(0.0, |(_, count)| *count);
        Self(self.0.into_iter().map(|(bound, count)| (bound, count + of(bound))).collect())
    }

    /// Those that are not in `before`; all of them where the process has begun anew since.
    pub(super) fn since(self, before: &Self) -> Self {
        if self.count() < before.count() {
            return self;
        }
        let of =
            |bound: f64| before.0.iter().find(|(known, _)| *known == bound).map_or(0.0, |(_, count)| *count);
        Self(self.0.into_iter().map(|(bound, count)| (bound, count - of(bound))).collect())
    }

    /// How many there are.
    pub(super) fn count(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, count)| *count)
    }

    /// The quantile, taken as spread evenly within its bucket as Prometheus' `histogram_quantile` does; `None` without observations.
    pub(super) fn quantile(&self, quantile: f64) -> Option<f64> {
        let rank = quantile * self.count();
        let index = self.0.iter().position(|(_, count)| *count >= rank && *count > 0.0)?;
        let (low, below) = if index == 0 { (0.0, 0.0) } else { self.0[index - 1] };
        let (high, count) = self.0[index];
        if high.is_infinite() || count <= below {
            return Some(low);
        }
        Some(low + (high - low) * (rank - below) / (count - below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP x y\n# TYPE a_total counter\na_total 3\nb{service=\"s\",version=\"0.1\"} 1\n\
        c_bucket{stage=\"one\",le=\"1\"} 2\nc_bucket{stage=\"one\",le=\"2\"} 4\nc_bucket{stage=\"one\",le=\"+Inf\"} 4\n\
        c_bucket{stage=\"two\",le=\"1\"} 0\nc_bucket{stage=\"two\",le=\"2\"} 4\nc_bucket{stage=\"two\",le=\"+Inf\"} 4\nd x\n";

    #[test]
    fn a_scrape_is_read() {
        let scrape = Scrape::parse(TEXT);
        assert_eq!((scrape.sum("a_total"), scrape.sum("b"), scrape.sum("none")), (3.0, 1.0, 0.0));
        assert_eq!((scrape.label("b", "version"), scrape.label("b", "other")), (Some("0.1"), None));
    }

    #[test]
    fn a_quantile_is_within_its_bucket() {
        let buckets = Scrape::parse(TEXT).buckets("c");
        assert_eq!(buckets.count(), 8.0);
        assert_eq!(buckets.quantile(0.5), Some(1.0 + 2.0 / 6.0));
        assert_eq!(buckets.quantile(0.25), Some(1.0));
        let none = buckets.clone().since(&buckets);
        assert_eq!((none.count(), none.quantile(0.5)), (0.0, None));
        assert_eq!(buckets.clone().plus(buckets.clone()).count(), 16.0);
        let above = Buckets(vec![(1.0, 0.0), (f64::INFINITY, 3.0)]);
        assert_eq!(above.quantile(0.5), Some(1.0), "as far as the buckets tell");
    }
}
