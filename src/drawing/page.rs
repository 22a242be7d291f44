//! A panel as a part of a page: as wide as a phone, its title, legend and words of marks left to the page, which says them
//! as text.

use super::svg::{Canvas, axis, bands, draw_line, highest, label, line, thinned};
use super::{Chart, MARKS_MAX, Panel};
use crate::xml_text::escaped;

/// As wide as the letters in it stay readable on a phone.
const CANVAS: Canvas = Canvas { width: 440.0, left: 56.0, right: 12.0, top: 20.0, panel: 130.0 };
const HEIGHT: f64 = 174.0;
/// Ticks that a phone has room for.
const TICKS_MAX: usize = 6;

/// Half of a tick's text.
const TICK_HALF: f64 = 17.0;
/// Marks nearer than this share a text.
const NUMBERS_WIDTH: f64 = 36.0;

/// Where a chart goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inset<'a> {
    /// Unique in the page: letters, digits and `-`.
    pub id: &'a str,
}

/// The first panel of a chart. What it shows is said in words as well: [`Chart::title`] and [`Chart::description`].
#[must_use]
pub fn inset(chart: &Chart, place: Inset<'_>) -> String {
    let Inset { id } = place;
    let (width, top) = (CANVAS.width, CANVAS.top);
    let bottom = top + CANVAS.panel;
    let mut out = format!(
        "<svg viewBox=\"0 0 {width} {HEIGHT}\" class=\"fm-inset\" role=\"img\" aria-labelledby=\"{id}-title {id}-words\" \
         font-size=\"12\">\n<title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-words\">{}</desc>\n",
        escaped(&chart.title),
        escaped(&chart.description)
    );
    bands(&mut out, (&CANVAS, chart), top, false);
    if let Some(panel) = chart.panels.first() {
        let highest = highest(panel);
        axis(&mut out, &CANVAS, highest, top);
        let y = |value: f64| CANVAS.y(value, highest, top);
        for drawn in &panel.lines {
            draw_line(&mut out, (&CANVAS, chart), drawn, bottom, &y);
        }
    }
    let every = chart.ticks.len().div_ceil(TICKS_MAX).max(1);
    for (at, text) in chart.ticks.iter().step_by(every) {
        let (x, y, text) = (CANVAS.x(chart, *at), bottom + 16.0, label(text));
        // The last one must not leave the picture.
        let (x, anchor) = if x > CANVAS.width - TICK_HALF { (CANVAS.width, "end") } else { (x, "middle") };
        line(
            &mut out,
            format!("<text class=\"fm-note\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"),
        );
    }
    draw_marks(&mut out, chart);
    out.push_str("</svg>");
    out
}

/// A line for each mark inside, and its number; neighbours too close for a number each share one text.
fn draw_marks(out: &mut String, chart: &Chart) {
    let (top, bottom) = (CANVAS.top, CANVAS.top + CANVAS.panel);
    let mut groups: Vec<(f64, usize, usize, &str)> = Vec::new();
    for (number, mark) in (1..).zip(chart.marks.iter().take(MARKS_MAX)) {
        if mark.at < chart.span.0 || mark.at > chart.span.1 {
            continue;
        }
        let (x, class) = (CANVAS.x(chart, mark.at), mark.tone.class());
        line(
            out,
            format!("<line class=\"fm-mark {class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>"),
        );
        match groups.last_mut() {
            Some((from, _, last, _)) if x - *from < NUMBERS_WIDTH => *last = number,
            _ => groups.push((x, number, number, class)),
        }
    }
    for (x, first, last, class) in groups {
        let number = if first == last { first.to_string() } else { format!("{first}–{last}") };
        line(out, format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{}\">{number}</text>", top - 6.0));
    }
}

/// What a script needs to tell the values under a pointer: where the axis is, and each line's points, as JSON.
#[must_use]
pub fn inset_data(chart: &Chart) -> String {
    let lines = chart.panels.first().map_or(&[][..], |panel: &Panel| &panel.lines);
    let of_line = |line: &super::Line| {
        let points: Vec<(f64, f64)> =
            thinned(&line.points).into_iter().filter(|(_, value)| value.is_finite()).collect();
        serde_json::json!({"name": line.label, "points": points})
    };
    let lines: Vec<serde_json::Value> = lines.iter().map(of_line).collect();
    let (from, until) = chart.span;
    let part = |x: f64| x / CANVAS.width;
    let (left, right) = (part(CANVAS.left), part(CANVAS.end()));
    serde_json::json!({"from": from, "until": until, "left": left, "right": right, "lines": lines}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::{Band, Line, LineStyle, Mark, Tone};

    fn chart() -> Chart {
        let points = vec![(0.0, 10.0), (30.0, 20.0), (60.0, f64::NAN), (90.0, 480.0), (100.0, 2.0)];
        Chart {
            title: "Load <of> all".to_owned(),
            description: "between 2 & 480".to_owned(),
            span: (0.0, 100.0),
            ticks: (0..10).map(|i| (f64::from(i) * 10.0, format!("10:0{i}"))).collect(),
            bands: vec![Band { span: (20.0, 40.0), label: String::new() }],
            panels: vec![Panel {
                title: "load".to_owned(),
                lines: vec![Line { label: "\"all\"".to_owned(), tone: Tone::Whole, style: LineStyle::Area, points }],
                peak: None,
            }],
            marks: vec![Mark { at: 25.0, label: "fires".to_owned(), tone: Tone::Harm }],
        }
    }

    #[test]
    fn a_part_of_a_page_says_what_it_shows() {
        insta::assert_snapshot!(inset(&chart(), Inset { id: "load" }));
    }

    #[test]
    fn the_script_gets_what_was_seen() {
        let data: serde_json::Value = serde_json::from_str(&inset_data(&chart())).unwrap();
        assert_eq!(data["lines"][0]["points"].as_array().unwrap().len(), 4, "without the hole");
        assert_eq!(inset(&Chart::default(), Inset { id: "x" }).matches("<polyline").count(), 0);
        assert!(inset_data(&Chart::default()).contains("\"lines\":[]"));
    }
}
