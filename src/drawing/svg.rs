//! A chart as the text of an SVG picture.

use std::fmt::Write;

use super::{Chart, Line, LineStyle, MARKS_MAX, Mark, POINTS_MAX, Panel, Tone, number};
use crate::xml_text::escaped;

/// Where things are in a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Canvas {
    /// Its width; a viewer scales it.
    pub width: f64,
    /// Room for numbers.
    pub left: f64,
    /// Room at the end.
    pub right: f64,
    /// Top of the first panel.
    pub top: f64,
    /// Height of a panel.
    pub panel: f64,
}

/// A picture by itself.
const WHOLE: Canvas = Canvas { width: 860.0, left: 64.0, right: 24.0, top: 58.0, panel: 92.0 };
const GAP: f64 = 30.0;
const MARK: f64 = 16.0;
/// Above it a line's highest value is at the panel's top: room for the peak's words.
const HEADROOM: f64 = 4.0;
/// Characters of a label at most: a longer one would leave the picture.
const LABEL_CHARS_MAX: usize = 90;

/// The picture. Its text is that of one document, or of a part of a page.
#[must_use]
pub fn svg(chart: &Chart) -> String {
    let marks = &chart.marks[..chart.marks.len().min(MARKS_MAX)];
    let ticks = if chart.ticks.is_empty() { 0.0 } else { MARK };
    let bottom = WHOLE.top + chart.panels.len() as f64 * (WHOLE.panel + GAP) - GAP;
    let height = bottom + GAP + 18.0 + ticks + MARK * marks.len() as f64;
    let mut out = head(chart, height);
    for (index, panel) in chart.panels.iter().enumerate() {
        let top = WHOLE.top + index as f64 * (WHOLE.panel + GAP);
        bands(&mut out, (&WHOLE, chart), top, index == 0);
        draw(&mut out, chart, panel, top);
    }
    for (at, label) in &chart.ticks {
        let (at, y) = (WHOLE.x(chart, *at), bottom + 15.0);
        line(
            &mut out,
            format!(
                "<line class=\"fm-axis\" x1=\"{at:.1}\" y1=\"{bottom:.1}\" x2=\"{at:.1}\" y2=\"{:.1}\" stroke=\"#9aa5b1\"/>",
                bottom + 4.0
            ),
        );
        line(
            &mut out,
            format!(
                "<text class=\"fm-note\" x=\"{at:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"#52606d\">{}</text>",
                escaped(label)
            ),
        );
    }
    for (index, mark) in marks.iter().enumerate() {
        draw_mark(&mut out, chart, mark, bottom + 36.0 + ticks + MARK * index as f64);
    }
    out.push_str("</svg>\n");
    out
}

fn head(chart: &Chart, height: f64) -> String {
    let title = escaped(&chart.title);
    let Canvas { width, left, .. } = WHOLE;
    let description = match chart.description.as_str() {
        "" => String::new(),
        description => format!("<desc>{}</desc>\n", escaped(description)),
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fm-chart\" role=\"img\" viewBox=\"0 0 {width} {height:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<title>{title}</title>\n{description}\
         <rect class=\"fm-ground\" width=\"{width}\" height=\"{height:.0}\" fill=\"#ffffff\"/>\n\
         <text class=\"fm-title\" x=\"{left}\" y=\"22\" font-size=\"14\" fill=\"#1f2933\">{title}</text>\n"
    )
}

impl Canvas {
    /// Where a place on the axis is; outside ones at its ends.
    pub(super) fn x(&self, chart: &Chart, at: f64) -> f64 {
        let (from, until) = chart.span;
        let part = if until > from { ((at - from) / (until - from)).clamp(0.0, 1.0) } else { 0.0 };
        self.left + part * (self.end() - self.left)
    }

    /// Where the axis ends.
    pub(super) fn end(&self) -> f64 {
        self.width - self.right
    }

    /// Where a value is in the panel at `top`.
    pub(super) fn y(&self, value: f64, highest: f64, top: f64) -> f64 {
        top + self.panel - (value / highest).clamp(0.0, 1.0) * (self.panel - HEADROOM)
    }
}

/// The highest value of a panel, above 0.
pub(super) fn highest(panel: &Panel) -> f64 {
    let values = panel.lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
    values.filter(|value| value.is_finite()).fold(0.0, f64::max).max(1e-9)
}

pub(super) fn bands(out: &mut String, (canvas, chart): (&Canvas, &Chart), top: f64, labelled: bool) {
    let height = canvas.panel;
    for band in &chart.bands {
        let (from, until) = (canvas.x(chart, band.span.0), canvas.x(chart, band.span.1));
        let width = (until - from).max(1.0);
        line(
            out,
            format!(
                "<rect class=\"fm-band\" x=\"{from:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{height}\" fill=\"#fdecea\"/>"
            ),
        );
        if labelled && !band.label.is_empty() {
            let y = top - 20.0;
            line(
                out,
                format!(
                    "<text class=\"fm-harm\" x=\"{from:.1}\" y=\"{y:.1}\" fill=\"#b42318\">{}</text>",
                    label(&band.label)
                ),
            );
        }
    }
}

fn draw(out: &mut String, chart: &Chart, panel: &Panel, top: f64) {
    let highest = highest(panel);
    let (above, left) = (top - 6.0, WHOLE.left);
    line(
        out,
        format!(
            "<text class=\"fm-note\" x=\"{left}\" y=\"{above:.1}\" fill=\"#52606d\">{}</text>",
            label(&panel.title)
        ),
    );
    legend(out, panel, above);
    axis(out, &WHOLE, highest, top);
    let y = |value: f64| WHOLE.y(value, highest, top);
    for drawn in &panel.lines {
        draw_line(out, (&WHOLE, chart), drawn, top + WHOLE.panel, &y);
    }
    if let Some((at, value, words)) = &panel.peak {
        let (x, y) = (WHOLE.x(chart, *at), y(*value));
        let (anchor, from) = beside(x, 7.0);
        line(out, format!("<circle class=\"fm-peak\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"#1f2933\"/>"));
        let below = y + 4.0_f64.max(top + 12.0 - y);
        line(
            out,
            format!(
                "<text class=\"fm-title\" x=\"{from:.1}\" y=\"{below:.1}\" text-anchor=\"{anchor}\" fill=\"#1f2933\">{}</text>",
                label(words)
            ),
        );
    }
}

/// The axis of time, and the numbers beside a panel.
pub(super) fn axis(out: &mut String, canvas: &Canvas, highest: f64, top: f64) {
    let (left, end, bottom) = (canvas.left, canvas.end(), top + canvas.panel);
    line(
        out,
        format!(
            "<line class=\"fm-axis\" x1=\"{left}\" y1=\"{bottom}\" x2=\"{end}\" y2=\"{bottom}\" stroke=\"#9aa5b1\"/>"
        ),
    );
    for (value, y) in [(highest, top + 10.0), (0.0, bottom)] {
        let (x, value) = (left - 6.0, number(value));
        line(
            out,
            format!(
                "<text class=\"fm-note\" x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\" fill=\"#52606d\">{value}</text>"
            ),
        );
    }
}

/// Names of lines, from the right to the left.
fn legend(out: &mut String, panel: &Panel, y: f64) {
    let mut names = String::new();
    for named in panel.lines.iter().filter(|line| !line.label.is_empty()) {
        let sign = match named.style {
            LineStyle::Solid => "—",
            LineStyle::Dashed => "- -",
            LineStyle::Area => "▬",
        };
        let (class, colour) = (named.tone.class(), named.tone.colour());
        // Writing to a string does not fail.
        let _ = write!(
            names,
            "<tspan dx=\"14\" class=\"{class}\" fill=\"{colour}\">{sign} {}</tspan>",
            label(&named.label)
        );
    }
    if !names.is_empty() {
        let end = WHOLE.end();
        line(out, format!("<text x=\"{end}\" y=\"{y:.1}\" text-anchor=\"end\">{names}</text>"));
    }
}

pub(super) fn draw_line(
    out: &mut String,
    (canvas, chart): (&Canvas, &Chart),
    drawn: &Line,
    bottom: f64,
    y: &dyn Fn(f64) -> f64,
) {
    let (class, colour) = (drawn.tone.class(), drawn.tone.colour());
    let dashes = if drawn.style == LineStyle::Dashed { " stroke-dasharray=\"5 4\"" } else { "" };
    let points = thinned(&drawn.points);
    for run in points.split(|(_, value)| !value.is_finite()).filter(|run| !run.is_empty()) {
        let mut text = String::new();
        for (at, value) in run {
            let _ = write!(text, "{:.1},{:.1} ", canvas.x(chart, *at), y(*value));
        }
        let text = text.trim_end();
        if drawn.style == LineStyle::Area {
            let (from, until) = (canvas.x(chart, run[0].0), canvas.x(chart, run[run.len() - 1].0));
            line(
                out,
                format!(
                    "<polygon class=\"{class}\" fill=\"{colour}\" fill-opacity=\"0.18\" points=\"{from:.1},{bottom:.1} {text} {until:.1},{bottom:.1}\"/>"
                ),
            );
        }
        line(
            out,
            format!(
                "<polyline class=\"{class}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"{dashes} points=\"{text}\"/>"
            ),
        );
    }
}

/// Of each group of neighbours the highest, so that peaks stay; holes stay too.
pub(super) fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let group = points.len().div_ceil(POINTS_MAX).max(1);
    let rank = |value: f64| if value.is_finite() { value } else { f64::INFINITY };
    let highest = |group: &[(f64, f64)]| group.iter().copied().max_by(|a, b| rank(a.1).total_cmp(&rank(b.1)));
    points.chunks(group).filter_map(highest).collect()
}

fn draw_mark(out: &mut String, chart: &Chart, mark: &Mark, y: f64) {
    let top = WHOLE.top;
    let (at, colour, class) = (WHOLE.x(chart, mark.at), mark.tone.colour(), mark.tone.class());
    let until = y - 4.0;
    let dashes = if mark.tone == Tone::Well { "1 3" } else { "3 3" };
    line(
        out,
        format!(
            "<line class=\"{class}\" x1=\"{at:.1}\" y1=\"{top}\" x2=\"{at:.1}\" y2=\"{until:.1}\" stroke=\"{colour}\" stroke-dasharray=\"{dashes}\"/>"
        ),
    );
    let (anchor, from) = beside(at, 4.0);
    line(
        out,
        format!(
            "<text class=\"{class}\" x=\"{from:.1}\" y=\"{y:.1}\" fill=\"{colour}\" text-anchor=\"{anchor}\">{}</text>",
            label(&mark.label)
        ),
    );
}

/// Words stand on the side that has room.
fn beside(at: f64, distance: f64) -> (&'static str, f64) {
    if at > WHOLE.width * 0.6 { ("end", at - distance) } else { ("start", at + distance) }
}

pub(super) fn label(text: &str) -> String {
    if text.chars().count() <= LABEL_CHARS_MAX {
        return escaped(text);
    }
    let cut: String = text.chars().take(LABEL_CHARS_MAX - 1).collect();
    escaped(&format!("{cut}…"))
}

pub(super) fn line(out: &mut String, text: String) {
    out.push_str(&text);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::Band;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        let line = Line { label: "all".to_owned(), tone: Tone::Whole, style: LineStyle::Area, points };
        Chart {
            title: "Load of <b>\"acme\" & Co</b>".to_owned(),
            description: "from 1 to 3".to_owned(),
            span: (0.0, 10.0),
            ticks: vec![(5.0, "10:05".to_owned())],
            bands: vec![Band { span: (2.0, 99.0), label: "incident".to_owned() }],
            panels: vec![Panel {
                title: "requests".to_owned(),
                lines: vec![line],
                peak: Some((3.0, 3.0, "peak 3".to_owned())),
            }],
            marks: vec![Mark { at: 9.0, label: "fires\u{0}".to_owned(), tone: Tone::Harm }],
        }
    }

    #[test]
    fn a_picture_is_well_formed_whatever_its_words() {
        let text = svg(&chart(vec![(0.0, 1.0), (3.0, 3.0), (5.0, f64::NAN), (6.0, 2.0), (7.0, f64::INFINITY)]));
        assert!(text.contains("&lt;b&gt;&quot;acme&quot; &amp; Co&lt;/b&gt;") && !text.contains("<b>"), "{text}");
        assert!(!text.contains('\u{0}') && !text.contains("NaN") && !text.contains("inf\""), "{text}");
        // Two runs, each a line and what is below it.
        assert_eq!((text.matches("<polyline").count(), text.matches("<polygon").count()), (2, 2));
        assert_eq!(text.matches("<text").count(), text.matches("</text>").count());
        // The band ends with the axis.
        assert!(text.contains("x=\"218.4\" y=\"58\" width=\"617.6\""), "{text}");
    }

    #[test]
    fn long_lines_are_thinned_and_keep_their_peak() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|at| (f64::from(at) / 10_000.0, 1.0)).collect();
        points[77_777].1 = 9.0;
        let thin = thinned(&points);
        assert!(thin.len() <= POINTS_MAX && thin.contains(&points[77_777]));
        assert!(svg(&chart(points)).len() < 60_000);
    }

    #[test]
    fn nothing_to_draw_is_still_a_picture() {
        let empty = svg(&Chart::default());
        assert!(empty.starts_with("<svg") && empty.ends_with("</svg>\n"));
        assert!(svg(&Chart { span: (1.0, 1.0), ..chart(vec![(1.0, 0.0)]) }).contains("polyline"));
    }
}
