//! The curve of a sweep as SVG: what a limit costs on quiet days against what it cuts off in incidents.

use std::fmt::Write as _;

use super::rate::Rate;
use super::report::{Sweep, SweepPoint};
use super::words::percent;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 48.0;
/// Rates written below the axis.
const LABELS: usize = 6;

/// A line: its name, colour, and value of a point, 0 to 1.
type Line = (&'static str, &'static str, fn(&SweepPoint) -> f64);
const LINES: [Line; 2] = [
    ("peak left in incidents", "#b42318", |point| point.incident_peak_ratio),
    ("refused on quiet days", "#175cd3", |point| point.throttled_share_outside),
];

/// The picture. It has a background and colours of its own, for light and dark pages alike.
#[must_use]
pub fn curve_svg(sweep: &Sweep) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\">\n<title>What each limit refuses on quiet days, and what it leaves of the peak in \
         incidents</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let y = y(share);
        let (end, label) = (WIDTH - RIGHT, y + 4.0);
        line(&mut svg, &format!("<path d=\"M{LEFT} {y:.1}H{end}\" stroke=\"#d0d5dd\"/>"));
        line(&mut svg, &text(LEFT - 6.0, label, "end", "#475467", &percent(share)));
    }
    let points = &sweep.points;
    let every = points.len().div_ceil(LABELS).max(1);
    for point in points.iter().step_by(every) {
        line(
            &mut svg,
            &text(x(point.rate, points), HEIGHT - BOTTOM + 18.0, "middle", "#475467", &point.rate.to_string()),
        );
    }
    if let Some(rate) = sweep.proposal.rate {
        let at = x(rate, points).clamp(LEFT, WIDTH - RIGHT);
        let bottom = HEIGHT - BOTTOM;
        line(&mut svg, &format!("<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#067647\" stroke-dasharray=\"4 3\"/>"));
        line(&mut svg, &text(at, TOP - 8.0, "middle", "#067647", &format!("proposed: {rate}")));
    }
    for (i, (name, colour, value)) in LINES.into_iter().enumerate() {
        let path: Vec<String> =
            points.iter().map(|point| format!("{:.1} {:.1}", x(point.rate, points), y(value(point)))).collect();
        let path = path.join("L");
        line(&mut svg, &format!("<path d=\"M{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
        line(&mut svg, &text(WIDTH - RIGHT + 8.0, TOP + 14.0 + 18.0 * i as f64, "start", colour, name));
    }
    svg.push_str("</svg>\n");
    svg
}

fn text(x: f64, y: f64, anchor: &str, colour: &str, words: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{words}</text>")
}

fn line(svg: &mut String, element: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(svg, "{}", element.replace("< 0.01", "&lt; 0.01"));
}

/// Rates are drawn by their order of magnitude.
#[allow(clippy::cast_precision_loss)] // rates stay far below 2^52
fn x(rate: Rate, points: &[SweepPoint]) -> f64 {
    let log = |rate: Rate| (rate.requests as f64).ln();
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return LEFT };
    let width = log(last.rate) - log(first.rate);
    let place = if width > 0.0 { (log(rate) - log(first.rate)) / width } else { 0.0 };
    LEFT + place * (WIDTH - LEFT - RIGHT)
}

fn y(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}
