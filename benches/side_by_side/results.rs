//! Figures of all rounds: best, median, ratio.

use super::corpus::Verdict;
use super::side::Side;

/// Which of several rounds is the best one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Lower,
    Higher,
    /// A count of faults: the rounds are added up, and a ratio says nothing.
    Zero,
}

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub workload: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    pub better: Better,
}

impl Row {
    /// A row of which less is better.
    pub const fn lower(workload: &'static str, what: &'static str, unit: &'static str) -> Self {
        Self { workload, what, unit, better: Better::Lower }
    }

    /// A row of which more is better.
    pub const fn higher(workload: &'static str, what: &'static str, unit: &'static str) -> Self {
        Self { workload, what, unit, better: Better::Higher }
    }

    /// A row of faults.
    pub const fn faults(workload: &'static str, what: &'static str) -> Self {
        Self { workload, what, unit: "", better: Better::Zero }
    }
}

/// What one side did in one round of one workload.
#[derive(Debug, Default)]
pub struct Outcome {
    pub samples: Vec<(Row, f64)>,
    /// The file compared with what was sent, where it was.
    pub verdict: Option<Verdict>,
    /// What a reader of the figures should know.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Adds a figure.
    pub fn add(&mut self, row: Row, value: f64) {
        self.samples.push((row, value));
    }
}

/// All figures, in the order in which their rows first appeared.
#[derive(Debug, Default)]
pub struct Results {
    rows: Vec<(Row, [Vec<f64>; Side::ALL.len()])>,
}

impl Results {
    /// Adds a figure.
    pub fn add(&mut self, side: Side, row: Row, value: f64) {
        let at = self.rows.iter().position(|(known, _)| *known == row).unwrap_or_else(|| {
            self.rows.push((row, Default::default()));
            self.rows.len() - 1
        });
        self.rows[at].1[side as usize].push(value);
    }

    /// The rows.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.rows.iter().map(|(row, _)| *row)
    }

    fn figures(&self, row: Row, side: Side) -> &[f64] {
        self.rows.iter().find(|(known, _)| *known == row).map_or(&[], |(_, sides)| &sides[side as usize])
    }

    /// How many rounds were measured.
    pub fn rounds(&self, row: Row) -> usize {
        Side::ALL.into_iter().map(|side| self.figures(row, side).len()).max().unwrap_or(0)
    }

    /// The best round; for faults the sum of all.
    pub fn best(&self, row: Row, side: Side) -> Option<f64> {
        let figures = self.figures(row, side);
        match row.better {
            Better::Lower => figures.iter().copied().reduce(f64::min),
            Better::Higher => figures.iter().copied().reduce(f64::max),
            Better::Zero => (!figures.is_empty()).then(|| figures.iter().sum()),
        }
    }

    /// The worst round; for faults the sum of all.
    pub fn worst(&self, row: Row, side: Side) -> Option<f64> {
        let figures = self.figures(row, side);
        match row.better {
            Better::Lower => figures.iter().copied().reduce(f64::max),
            Better::Higher => figures.iter().copied().reduce(f64::min),
            Better::Zero => self.best(row, side),
        }
    }

    /// The middle round, or the mean of the two in the middle.
    pub fn median(&self, row: Row, side: Side) -> Option<f64> {
        percentile_pair(self.figures(row, side))
    }

    /// reclog divided by the peer, both at their best.
    pub fn ratio(&self, row: Row, peer: Side) -> Option<f64> {
        quotient(self.best(row, Side::Reclog)?, self.best(row, peer)?)
    }

    /// reclog divided by the peer, both in the middle.
    pub fn median_ratio(&self, row: Row, peer: Side) -> Option<f64> {
        quotient(self.median(row, Side::Reclog)?, self.median(row, peer)?)
    }
}

fn quotient(a: f64, b: f64) -> Option<f64> {
    (b > 0.0).then_some(a / b)
}

fn percentile_pair(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The value below which `percent` of the sorted figures lie (nearest rank).
pub fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}
