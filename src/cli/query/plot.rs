//! Lines of numbers in a terminal, with Braille dots: two columns and four rows of them a character.

/// What one character adds for the dot in column 0 or 1 and row 0 to 3.
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
/// The character without dots.
const EMPTY: u32 = 0x2800;

/// A plot of points, `width` by `height` characters: x from 0 to 1, y from 0 to `highest`. Between neighbours there are
/// lines; a value that is not finite leaves a hole.
pub(super) fn plot(points: &[(f64, f64)], highest: f64, width: usize, height: usize) -> Vec<String> {
    let (columns, rows) = (width * 2, height * 4);
    let mut cells = vec![vec![0_u32; width]; height];
    let mut dot = |x: usize, y: usize| {
        let (x, y) = (x.min(columns - 1), rows - 1 - y.min(rows - 1));
        cells[y / 4][x / 2] |= DOTS[x % 2][y % 4];
    };
    let place = |(x, y): (f64, f64)| {
        let x = (x.clamp(0.0, 1.0) * (columns - 1) as f64).round();
        let y = if highest > 0.0 { (y / highest).clamp(0.0, 1.0) } else { 0.0 };
        (x, (y * (rows - 1) as f64).round())
    };
    let mut before: Option<(f64, f64)> = None;
    for point in points {
        if !point.1.is_finite() {
            before = None;
            continue;
        }
        let to = place(*point);
        let from = before.unwrap_or(to);
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).max(1.0);
        for step in 0..=steps as usize {
            let part = step as f64 / steps;
            let at = |from: f64, to: f64| (from + (to - from) * part).round() as usize;
            dot(at(from.0, to.0), at(from.1, to.1));
        }
        before = Some(to);
    }
    let character = |cell: &u32| char::from_u32(EMPTY + cell).unwrap_or(' ');
    cells.iter().map(|row| row.iter().map(character).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places of dots, from the lower left.
    fn dots(lines: &[String]) -> Vec<(usize, usize)> {
        let rows = lines.len() * 4;
        let mut dots = Vec::new();
        for (line, text) in lines.iter().enumerate() {
            for (column, character) in text.chars().enumerate() {
                let cell = character as u32 - EMPTY;
                for (x, column_dots) in DOTS.iter().enumerate() {
                    for (y, bit) in column_dots.iter().enumerate().filter(|(_, bit)| cell & **bit != 0) {
                        assert!(bit.is_power_of_two());
                        dots.push((column * 2 + x, rows - 1 - (line * 4 + y)));
                    }
                }
            }
        }
        dots.sort_unstable();
        dots
    }

    #[test]
    fn a_rise_goes_from_the_lower_left_to_the_upper_right() {
        let lines = plot(&[(0.0, 0.0), (1.0, 8.0)], 8.0, 4, 2);
        assert_eq!(dots(&lines), (0..8).map(|at| (at, at)).collect::<Vec<_>>());
    }

    #[test]
    fn holes_stay_and_nothing_leaves_the_plot() {
        let points = [(0.0, 1.0), (0.4, f64::NAN), (1.0, 1.0), (7.0, 99.0), (-1.0, -5.0)];
        let lines = plot(&points[..3], 1.0, 4, 1);
        assert_eq!(dots(&lines), [(0, 3), (7, 3)]);
        assert_eq!(plot(&points, 1.0, 4, 1).len(), 1);
        assert_eq!(dots(&plot(&[(0.5, 0.0)], 0.0, 4, 1)), [(4, 0)]);
        assert_eq!(plot(&[], 0.0, 3, 2), ["⠀⠀⠀", "⠀⠀⠀"]);
    }
}
