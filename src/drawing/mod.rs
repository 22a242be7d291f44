//! Charts over time as SVG: one drawing for reports, post-mortems and the console. Pure.
//!
//! A picture brings its background and colours along, so that it reads on any page. Every part also has a class
//! (`fm-…`): a style sheet that follows the reader's light or dark mode overrules the colours. What a colour says, a dash
//! or a word says too.

mod axis;
mod page;
mod svg;

pub use axis::{grouped, number, time_ticks};
pub use page::{Inset, inset, inset_data};
pub use svg::svg;

/// Points of a line that are drawn: more of them are thinned out, peaks kept.
pub const POINTS_MAX: usize = 1_500;
/// Marks of a chart that are drawn; later ones are left out.
pub const MARKS_MAX: usize = 24;

/// Panels over the same stretch of time, one below the other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chart {
    /// Heading, and the picture's name for those who cannot see it.
    pub title: String,
    /// What it shows, in a sentence, for those who cannot see it; empty for none.
    pub description: String,
    /// Begin and end of the axis, in any unit.
    pub span: (f64, f64),
    /// Places on the axis, and how each is written.
    pub ticks: Vec<(f64, String)>,
    /// Shaded stretches.
    pub bands: Vec<Band>,
    /// What is drawn.
    pub panels: Vec<Panel>,
    /// Moments: a line through all panels, and its words below them.
    pub marks: Vec<Mark>,
}

/// A shaded stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Begin and end on the axis.
    pub span: (f64, f64),
    /// Word at its top; empty for none.
    pub label: String,
}

/// A number, or several of one unit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Panel {
    /// What it is, with its unit.
    pub title: String,
    /// The lines; the first is what the panel is about.
    pub lines: Vec<Line>,
    /// A point with words beside it: a peak.
    pub peak: Option<(f64, f64, String)>,
}

/// A line of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name; empty where the panel's title says it.
    pub label: String,
    /// Its colour.
    pub tone: Tone,
    /// How it is drawn.
    pub style: LineStyle,
    /// Places on the axis in order, and values; one that is not finite leaves a hole.
    pub points: Vec<(f64, f64)>,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineStyle {
    /// A line.
    #[default]
    Solid,
    /// A dashed line: what is usual, or a limit.
    Dashed,
    /// A line, and what is below it filled.
    Area,
}

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// All of something: blue.
    #[default]
    Whole,
    /// A ratio: violet.
    Ratio,
    /// Harm, and what wakes people: red.
    Harm,
    /// Worth a look: amber.
    Notice,
    /// What is usual: grey.
    Usual,
    /// What is well, or over: green.
    Well,
}

impl Tone {
    /// The colour in a picture by itself: dark enough for text on white.
    #[must_use]
    pub fn colour(self) -> &'static str {
        match self {
            Self::Whole => "#1d4ed8",
            Self::Ratio => "#6d28d9",
            Self::Harm => "#b42318",
            Self::Notice => "#b54708",
            Self::Usual => "#52606d",
            Self::Well => "#067647",
        }
    }

    /// The class for a style sheet.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Whole => "fm-whole",
            Self::Ratio => "fm-ratio",
            Self::Harm => "fm-harm",
            Self::Notice => "fm-notice",
            Self::Usual => "fm-usual",
            Self::Well => "fm-well",
        }
    }
}

/// A moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Place on the axis.
    pub at: f64,
    /// What happened.
    pub label: String,
    /// Its colour.
    pub tone: Tone,
}
