//! A gauge: a half circle from nothing to one and a half times what the tokens can give, with the thresholds drawn across it.

use std::f64::consts::PI;

/// The ratio at the end of the scale.
const END: f64 = 1.5;
/// The middle of the circle, and its radius, in the drawing's units.
const MIDDLE: (f64, f64) = (60.0, 58.0);
const RADIUS: f64 = 48.0;
/// How far a threshold's line reaches beyond the arc on each side.
const REACH: f64 = 8.0;

/// What is drawn.
pub(super) struct Gauge {
    /// How much of the arc is filled, in percent.
    pub(super) filled: String,
    /// The lines of the thresholds, from `(x1, y1)` to `(x2, y2)`.
    pub(super) lines: Vec<[String; 4]>,
}

impl Gauge {
    /// The gauge of a ratio, with lines at `thresholds`.
    pub(super) fn of(ratio: f64, thresholds: &[f64]) -> Self {
        let part = |ratio: f64| if ratio.is_finite() { (ratio / END).clamp(0.0, 1.0) } else { 1.0 };
        let at = |part: f64, radius: f64| {
            let angle = PI * (1.0 - part);
            [format!("{:.1}", MIDDLE.0 + radius * angle.cos()), format!("{:.1}", MIDDLE.1 - radius * angle.sin())]
        };
        let line = |threshold: &f64| {
            let part = part(*threshold);
            let ([x1, y1], [x2, y2]) = (at(part, RADIUS - REACH), at(part, RADIUS + REACH));
            [x1, y1, x2, y2]
        };
        Self { filled: format!("{:.1}", part(ratio) * 100.0), lines: thresholds.iter().map(line).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_filled_up_to_its_ratio_and_never_beyond() {
        for (ratio, filled) in [(0.0, "0.0"), (0.75, "50.0"), (1.5, "100.0"), (9.0, "100.0"), (f64::INFINITY, "100.0")]
        {
            assert_eq!(Gauge::of(ratio, &[]).filled, filled, "{ratio}");
        }
        let half = Gauge::of(0.0, &[0.75]);
        assert_eq!(half.lines, [["60.0", "18.0", "60.0", "2.0"]], "half of the scale is straight up");
    }
}
