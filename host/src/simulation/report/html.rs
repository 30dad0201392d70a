//! The report as a page that stands by itself: no script, no font, no request to anywhere.

use std::fmt::Write;

use super::chart::{Chart, Line};
use super::{HEADINGS, LEGEND, Results, Scenario, Traffic, cells, describe, remarks};
use crate::simulation::results::SLICES;
use crate::simulation::words::{MS, SECOND, figure, time};

/// How many colours there are for lines, and how many ways to dash them.
pub(super) const COLOURS: usize = 8;

const STYLE: &str = "\
:root { color-scheme: light dark; --page: #fff; --ink: #1c1e21; --soft: #63666b; --grid: #e3e5e8;
  --c0: #0a6cb5; --c1: #c8500a; --c2: #0b8560; --c3: #a8468f; --c4: #8a6a00; --c5: #5b50c8; --c6: #b02a37; --c7: #55606b; }
@media (prefers-color-scheme: dark) { :root { --page: #16181b; --ink: #e8eaed; --soft: #a2a7ad; --grid: #2e3237;
  --c0: #5cb3f2; --c1: #ff9a5c; --c2: #42cfa0; --c3: #e695d3; --c4: #e3bd4b; --c5: #a9a1ff; --c6: #ff8089; --c7: #b3bcc5; } }
body { background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; } p, figcaption { color: var(--soft); } figcaption b { color: var(--ink); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { border-bottom: 1px solid var(--grid); padding: .35rem .6rem; text-align: right; white-space: nowrap; }
th { font-weight: 600; } th:first-child, td:first-child { text-align: left; }
.charts { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); }
figure { margin: 0; } svg { height: auto; width: 100%; } svg text { fill: var(--soft); font-size: 11px; }
.left { text-anchor: end; } .below { text-anchor: middle; } .grid { stroke: var(--grid); }
.line { fill: none; stroke-linejoin: round; stroke-width: 2; } .key { height: 10px; margin-right: .5rem; width: 28px; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); stroke-dasharray: 7 3; } .c2 { stroke: var(--c2); stroke-dasharray: 2 3; }
.c3 { stroke: var(--c3); stroke-dasharray: 9 3 2 3; } .c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); stroke-dasharray: 7 3; }
.c6 { stroke: var(--c6); stroke-dasharray: 2 3; } .c7 { stroke: var(--c7); stroke-dasharray: 9 3 2 3; }
";

/// The report as HTML.
pub fn html(scenario: &Scenario, traffic: &Traffic, results: &[Results]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>lb policy simulate</title>\n<style>\n{STYLE}</style></head><body>\n\
         <h1>Policies, simulated</h1>\n"
    );
    for line in describe(scenario, traffic) {
        let _ = writeln!(out, "<p>{}</p>", escape(&line));
    }
    out += "<div class=\"wide\"><table><thead><tr>";
    HEADINGS.iter().for_each(|heading| out += &format!("<th>{heading}</th>"));
    out += "</tr></thead>\n<tbody>\n";
    for (number, result) in results.iter().enumerate() {
        let [policy, rest @ ..] = cells(result);
        let _ = write!(
            out,
            "<tr><td><svg class=\"key\" viewBox=\"0 0 28 10\" style=\"width:28px\" aria-hidden=\"true\"><line class=\"line \
             c{}\" x1=\"0\" x2=\"28\" y1=\"5\" y2=\"5\"/></svg>{}</td>",
            number % COLOURS,
            escape(&policy)
        );
        rest.iter().for_each(|cell| out += &format!("<td>{}</td>", escape(cell)));
        out += "</tr>\n";
    }
    let _ = writeln!(out, "</tbody></table></div>\n<p>{LEGEND}.</p>");
    for remark in remarks(results) {
        let _ = writeln!(out, "<p>{}</p>", escape(&remark));
    }
    out += "<div class=\"charts\">\n";
    for chart in [times(results), course(scenario, results), busiest(scenario, results), loads(results)] {
        out += &chart.figure();
    }
    out + "</div></body></html>\n"
}

fn lines(results: &[Results], points: impl Fn(&Results) -> Vec<(f64, f64)>) -> Vec<Line> {
    let line = |result: &Results| Line { name: result.policy.clone(), points: points(result) };
    results.iter().map(line).collect()
}

/// Times of 0 stand for less than a microsecond.
fn ms(time: u64) -> f64 {
    (time as f64 / MS as f64).max(0.001)
}

fn ms_label(ms: f64) -> String {
    time((ms * MS as f64) as u64)
}

fn times(results: &[Results]) -> Chart {
    // Across stands how many nines a share has: 0.9 is 1, 0.99 is 2.
    let points = |result: &Results| {
        let share = |step: i32| 1.0 - 10f64.powf(-f64::from(step) / 20.0);
        let enough = |step: &i32| (1.0 - share(*step)) * result.counted() as f64 >= 1.0;
        let point = |step: i32| (f64::from(step) / 20.0, ms(result.quantile(share(step))));
        (2..=80).take_while(enough).map(point).collect()
    };
    let marks = [0.5, 0.9, 0.99, 0.999, 0.9999];
    let mark = |share: f64| (-(1.0 - share).log10(), format!("{}%", figure_of_share(share)));
    Chart {
        title: "Times",
        about: "that so many of the requests did not exceed",
        across: "share of requests",
        marks: std::iter::once((0.0, String::new())).chain(marks.map(mark)).collect(),
        label: ms_label,
        lines: lines(results, points),
    }
}

fn figure_of_share(share: f64) -> String {
    // Rounded to what the marks need, so that 99.9 is not 99.90000000000001.
    ((share * 1e6).round() / 1e4).to_string()
}

fn course(scenario: &Scenario, results: &[Results]) -> Chart {
    let points = |result: &Results| {
        let slices = result.course.iter().enumerate().filter(|(_, slice)| slice.times.total() > 0);
        slices.map(|(slice, found)| (at(slice), ms(found.times.quantile(0.99)))).collect()
    };
    Chart {
        title: "p99 over time",
        about: "of the requests that came then",
        across: "seconds",
        marks: seconds(scenario),
        label: ms_label,
        lines: lines(results, points),
    }
}

fn busiest(scenario: &Scenario, results: &[Results]) -> Chart {
    let points = |result: &Results| {
        let most = |(slice, found): (usize, &super::super::results::Slice)| {
            (at(slice), f64::from(found.most.max(1)))
        };
        result.course.iter().enumerate().map(most).collect()
    };
    Chart {
        title: "The busiest server",
        about: "over time: the requests that it had",
        across: "seconds",
        marks: seconds(scenario),
        label: figure,
        lines: lines(results, points),
    }
}

/// So many servers are shown, at most; of more, these many places among them.
const SHOWN: usize = 200;

fn loads(results: &[Results]) -> Chart {
    let points = |result: &Results| {
        let mut loads = result.loads.clone();
        loads.sort_by(|one, other| other.total_cmp(one));
        let last = loads.len().saturating_sub(1);
        let shown = loads.len().min(SHOWN);
        let place = |point: usize| if shown > 1 { point * last / (shown - 1) } else { 0 };
        (0..shown).map(|point| (place(point) as f64 + 1.0, loads[place(point)].max(0.01))).collect()
    };
    let servers = results.iter().map(|result| result.loads.len()).max().unwrap_or(1) as f64;
    let marks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| 1.0 + (part * (servers - 1.0)).round());
    let mut marks: Vec<(f64, String)> = marks.iter().map(|place| (*place, place.to_string())).collect();
    marks.dedup();
    Chart {
        title: "Load by server",
        about: "on average, the busiest first",
        across: "servers",
        marks,
        label: figure,
        lines: lines(results, points),
    }
}

/// Where the middle of a slice stands, of 0 to 1.
fn at(slice: usize) -> f64 {
    (slice as f64 + 0.5) / SLICES as f64
}

fn seconds(scenario: &Scenario) -> Vec<(f64, String)> {
    let duration = scenario.duration as f64 / SECOND as f64;
    [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| (part, figure(part * duration))).into()
}

/// Text as it may stand in HTML and in its attributes.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
