//! Line charts as SVG. Colours come from the page's style by class, so that they suit a light page and a dark one.

use std::fmt::Write;

use super::html::escape;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 42.0;

/// One line: its name, and its points.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// How values of an axis become text.
pub(super) type Label = fn(f64) -> String;

/// A chart. Its vertical axis is logarithmic.
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    pub(super) across: &'static str,
    /// Marks on the horizontal axis, from the left end to the right.
    pub(super) marks: Vec<(f64, String)>,
    pub(super) label: Label,
    pub(super) lines: Vec<Line>,
}

impl Chart {
    /// The chart as a figure.
    pub(super) fn figure(&self) -> String {
        let (low, high) = self.range();
        let (first, last) = match (self.marks.first(), self.marks.last()) {
            (Some((first, _)), Some((last, _))) if last > first => (*first, *last),
            _ => (0.0, 1.0),
        };
        let x = |value: f64| LEFT + (value - first) / (last - first) * (WIDTH - LEFT - RIGHT);
        let span = (high / low).log10();
        let y =
            |value: f64| HEIGHT - BOTTOM - (value.max(low) / low).log10() / span * (HEIGHT - TOP - BOTTOM);
        let mut out = format!(
            "<figure><figcaption><b>{}</b> {}</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{}\">\n",
            self.title, self.about, self.title
        );
        for value in ticks(low, high) {
            let at = y(value);
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"left\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                (self.label)(value)
            );
        }
        for (value, text) in &self.marks {
            let _ = writeln!(
                out,
                "<text class=\"below\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
                x(*value),
                HEIGHT - BOTTOM + 16.0
            );
        }
        let _ = writeln!(
            out,
            "<text class=\"below\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 6.0,
            self.across
        );
        for (number, line) in self.lines.iter().enumerate() {
            let points: Vec<String> =
                line.points.iter().map(|(across, up)| format!("{:.1},{:.1}", x(*across), y(*up))).collect();
            let _ = writeln!(
                out,
                "<polyline class=\"line c{}\" points=\"{}\"><title>{}</title></polyline>",
                number % super::html::COLOURS,
                points.join(" "),
                escape(&line.name)
            );
        }
        out + "</svg></figure>\n"
    }

    /// The least and the greatest value of the vertical axis, apart by half a decade at least.
    fn range(&self) -> (f64, f64) {
        let values = || self.lines.iter().flat_map(|line| &line.points).map(|(_, up)| *up);
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(0.0, f64::max);
        if high <= 0.0 || low <= 0.0 || !low.is_finite() {
            return (1.0, 10.0);
        }
        (low * 0.9, (high * 1.1).max(low * 3.2))
    }
}

/// Round values between two bounds: powers of ten, with 2 and 5 between them where there are few.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let steps: &[f64] = match (high / low).log10() {
        decades if decades < 2.5 => &[1.0, 2.0, 5.0],
        decades if decades < 4.0 => &[1.0, 3.0],
        _ => &[1.0],
    };
    let decades = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
    decades
        .flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)))
        .filter(|value| (low..=high).contains(value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let text = |low, high| ticks(low, high).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(text(0.9, 60.0), "1 2 5 10 20 50");
        assert_eq!(text(0.9, 1_200.0), "1 3 10 30 100 300 1000");
        assert_eq!(text(0.9, 100_000.0), "1 10 100 1000 10000 100000");
    }

    #[test]
    fn a_chart_without_values_is_a_chart() {
        let lines = vec![Line { name: "a<b".into(), points: Vec::new() }];
        let marks = vec![(0.0, "0".to_owned())];
        let label: Label = |value| value.to_string();
        let chart = Chart { title: "t", about: "", across: "x", marks, label, lines };
        let figure = chart.figure();
        assert!(figure.contains("a&lt;b") && !figure.contains("NaN") && !figure.contains("inf"), "{figure}");
    }
}
