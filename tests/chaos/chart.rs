//! Figures over time: their slope, and a picture of them. Pure.

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Seconds since the beginning.
    pub at: f64,
    pub value: f64,
}

/// One thing that was watched.
#[derive(Debug, Clone)]
pub struct Series {
    pub name: &'static str,
    pub points: Vec<Point>,
}

/// What comes before is the beginning: buffers are filled, and each thing has been done once. Of the whole time.
const WARM: f64 = 0.15;

impl Series {
    pub fn new(name: &'static str) -> Self {
        Self { name, points: Vec::new() }
    }

    /// Without the beginning.
    fn steady(&self) -> &[Point] {
        let end = self.points.last().map_or(0.0, |point| point.at);
        &self.points[self.points.partition_point(|point| point.at < end * WARM)..]
    }

    fn least(&self) -> f64 {
        self.points.iter().map(|point| point.value).fold(f64::INFINITY, f64::min)
    }

    fn most(&self) -> f64 {
        self.points.iter().map(|point| point.value).fold(0.0, f64::max)
    }

    /// How much it grows in an hour, once it is warm: the slope of the straight line that fits best (least squares).
    #[expect(clippy::cast_precision_loss, reason = "a count of points")]
    pub fn slope(&self) -> f64 {
        let points = self.steady();
        let count = points.len() as f64;
        let mean = |of: fn(&Point) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (at, value) = (mean(|p| p.at), mean(|p| p.value));
        let spread: f64 = points.iter().map(|p| (p.at - at).powi(2)).sum();
        let slope = points.iter().map(|p| (p.at - at) * (p.value - value)).sum::<f64>() / spread;
        if slope.is_finite() { slope * 3600.0 } else { 0.0 }
    }

    /// Whether it stays as it is: over the whole time the line that fits best rises by less than `slack`, or than a twentieth of it.
    pub fn is_flat(&self, slack: f64) -> bool {
        let points = self.steady();
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return true };
        let rise = self.slope() / 3600.0 * (last.at - first.at);
        rise < slack.max(self.most() / 20.0)
    }

    /// A row of the table.
    pub fn row(&self) -> String {
        let end = |point: Option<&Point>| point.map_or(0.0, |point| point.value);
        let (first, last) = (end(self.steady().first()), end(self.points.last()));
        let (low, high, slope) = (self.least(), self.most(), self.slope());
        format!("| {} | {first:.1} | {last:.1} | {low:.1} | {high:.1} | {slope:+.2} |\n", self.name)
    }
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 90.0;
const LEFT: f64 = 150.0;

/// All of them, one below the other, on one axis of time.
pub fn svg(all: &[Series]) -> String {
    let end = all.iter().filter_map(|series| series.points.last()).map(|point| point.at).fold(1.0, f64::max);
    let mut rows = String::new();
    let mut top = 20.0;
    for series in all {
        let most = (series.most() * 1.15).max(1.0);
        let x = |at: f64| LEFT + at / end * WIDTH;
        let y = |value: f64| top + HEIGHT - value / most * HEIGHT;
        let line: Vec<String> = series.points.iter().map(|p| format!("{:.1},{:.1}", x(p.at), y(p.value))).collect();
        let (right, bottom, middle) = (LEFT + WIDTH, top + HEIGHT, top + HEIGHT / 2.0);
        rows.push_str(&format!(
            "<text x=\"10\" y=\"{middle:.0}\">{}</text>\n\
             <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{:.0}</text>\n\
             <text x=\"{:.0}\" y=\"{bottom:.0}\" text-anchor=\"end\">0</text>\n\
             <path d=\"M{LEFT} {top} V{bottom} H{right}\" class=\"axis\"/>\n<polyline points=\"{}\"/>\n",
            series.name,
            LEFT - 6.0,
            y(series.most()) + 4.0,
            series.most(),
            LEFT - 6.0,
            line.join(" ")
        ));
        top += HEIGHT + 30.0;
    }
    let (width, height) = (LEFT + WIDTH + 20.0, top + 10.0);
    let minutes = (end / 60.0).round();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>rect{{fill:#fff}} text{{fill:#333}} .axis{{fill:none;stroke:#999}} polyline{{fill:none;stroke:#06c;stroke-width:1.5}}</style>\n\
         <rect width=\"{width}\" height=\"{height}\"/>\n{rows}\
         <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{minutes:.0} minutes</text>\n</svg>\n",
        LEFT + WIDTH,
        top
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(value: impl Fn(f64) -> f64) -> Series {
        let points = (0..720).map(|n| f64::from(n) * 5.0).map(|at| Point { at, value: value(at) }).collect();
        Series { name: "x", points }
    }

    #[test]
    fn what_grows_has_a_slope_and_what_is_only_restless_has_none() {
        let leak = series(|at| 20.0 + at / 3600.0 * 4.0);
        assert!((leak.slope() - 4.0).abs() < 0.01 && !leak.is_flat(2.0));
        let restless = series(|at| 30.0 + 5.0 * (at / 40.0).sin());
        assert!(restless.slope().abs() < 0.5 && restless.is_flat(2.0), "{}", restless.slope());
        let warm = series(|at| if at < 300.0 { at / 10.0 } else { 30.0 });
        assert!(warm.slope().abs() < 0.01 && warm.is_flat(0.5), "the beginning does not count");
        assert!(series(|at| 100.0 - at / 100.0).is_flat(0.5), "less is no leak");
        assert!(Series::new("none").is_flat(0.0));
    }

    #[test]
    fn the_picture_has_a_line_for_each() {
        let picture = svg(&[series(|at| at), series(|_| 1.0)]);
        assert_eq!(picture.matches("<polyline").count(), 2);
        assert!(picture.contains("60 minutes") && !picture.contains("NaN"), "{picture}");
    }
}
