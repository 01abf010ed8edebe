//! Drawing. Colours are of a middle brightness, and there is no background: pages are light or dark.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const FONT: &str = "sans-serif";
const WIDTH: u32 = 760;
/// Where bars begin.
const LEFT: i32 = 210;
const TOP: i32 = 48;
const ROW: i32 = 30;

const INK: RGBColor = RGBColor(136, 136, 136);
const OURS: RGBColor = RGBColor(58, 134, 214);
const OTHERS: RGBColor = RGBColor(160, 150, 130);
const THIRD: RGBColor = RGBColor(46, 160, 110);

/// Bars that stand together.
pub(super) struct Group {
    pub(super) label: &'static str,
    pub(super) values: Vec<f64>,
}

/// One bar.
pub(super) struct Bar {
    pub(super) label: &'static str,
    pub(super) value: f64,
    pub(super) text: String,
    pub(super) is_ours: bool,
}

/// One time.
pub(super) struct Dot {
    pub(super) label: &'static str,
    pub(super) micros: f64,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What is drawn into a text cannot fail, but for a defect.
fn picture(height: i32, title: &str, draw: impl FnOnce(&Area<'_>) -> Option<()>) -> String {
    // Texts are measured by it; what shows the picture has fonts of its own.
    let _ = plotters::style::register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height.unsigned_abs())).into_drawing_area();
        let drawn = write(&area, title, (8, 16), 21, HPos::Left).and_then(|()| draw(&area));
        debug_assert!(drawn.is_some(), "the plot {title:?} cannot be drawn");
        let _ = area.present();
    }
    text
}

fn write(area: &Area<'_>, text: &str, at: (i32, i32), points: i32, side: HPos) -> Option<()> {
    let style = TextStyle::from((FONT, points).into_font()).color(&INK).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style)).ok()
}

fn fill(area: &Area<'_>, corners: [(i32, i32); 2], colour: RGBColor) -> Option<()> {
    area.draw(&Rectangle::new(corners, colour.filled())).ok()
}

fn line(area: &Area<'_>, from: (i32, i32), to: (i32, i32)) -> Option<()> {
    area.draw(&PathElement::new(vec![from, to], INK.mix(0.6).stroke_width(1))).ok()
}

/// Draws upright bars in groups.
pub(super) fn columns(title: &str, names: &[&str], groups: &[Group]) -> String {
    const HEIGHT: i32 = 300;
    const FLOOR: i32 = HEIGHT - 34;
    const BAR: i32 = 52;
    let colours = [OTHERS, OURS, THIRD];
    let most = groups.iter().flat_map(|group| &group.values).copied().fold(1.0, f64::max);
    picture(HEIGHT, title, |area| {
        let mut x = 8;
        for (name, colour) in names.iter().zip(colours) {
            fill(area, [(x, 34), (x + 12, 46)], colour)?;
            write(area, name, (x + 18, 40), 17, HPos::Left)?;
            x += 150;
        }
        let width = (WIDTH as i32 - 16) / groups.len().max(1) as i32;
        for (number, group) in groups.iter().enumerate() {
            let middle = 8 + width * number as i32 + width / 2;
            let first = middle - BAR * group.values.len() as i32 / 2;
            for ((at, value), colour) in group.values.iter().enumerate().zip(colours) {
                let left = first + BAR * at as i32;
                let height = (value / most * f64::from(FLOOR - 90)).round() as i32;
                fill(area, [(left + 4, FLOOR - height.max(1)), (left + BAR - 4, FLOOR)], colour)?;
                let text = format!("{value:.1}");
                write(area, &text, (left + BAR / 2, FLOOR - height - 10), 17, HPos::Center)?;
            }
            write(area, group.label, (middle, FLOOR + 16), 17, HPos::Center)?;
        }
        line(area, (8, FLOOR), (WIDTH as i32 - 8, FLOOR))
    })
}

/// Draws bars, one below the other; a line marks a value.
pub(super) fn bars(title: &str, bars: &[Bar], mark: Option<f64>) -> String {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let end = TOP + ROW * bars.len() as i32;
    let right = |value: f64| LEFT + (value / most * f64::from(WIDTH as i32 - LEFT - 90)).round() as i32;
    picture(end + 12, title, |area| {
        for (number, bar) in bars.iter().enumerate() {
            let top = TOP + ROW * number as i32;
            let colour = if bar.is_ours { OURS } else { OTHERS };
            fill(area, [(LEFT, top + 4), (right(bar.value), top + ROW - 6)], colour)?;
            write(area, bar.label, (LEFT - 10, top + ROW / 2 - 1), 17, HPos::Right)?;
            write(area, &bar.text, (right(bar.value) + 8, top + ROW / 2 - 1), 17, HPos::Left)?;
        }
        match mark {
            Some(mark) => line(area, (right(mark), TOP - 4), (right(mark), end)),
            None => Some(()),
        }
    })
}

/// Draws times on a line from 100 µs to 100 ms, each decade of the same width.
pub(super) fn dots(title: &str, dots: &[Dot]) -> String {
    let end = TOP + ROW * dots.len() as i32;
    let decade = (WIDTH as i32 - LEFT - 90) / 3;
    let at = |micros: f64| LEFT + ((micros / 100.0).log10() * f64::from(decade)).round() as i32;
    picture(end + 34, title, |area| {
        for (micros, label) in [(1e2, "100 µs"), (1e3, "1 ms"), (1e4, "10 ms"), (1e5, "100 ms")] {
            line(area, (at(micros), TOP - 4), (at(micros), end))?;
            write(area, label, (at(micros), end + 16), 17, HPos::Center)?;
        }
        for (number, dot) in dots.iter().enumerate() {
            let middle = TOP + ROW * number as i32 + ROW / 2 - 1;
            area.draw(&Circle::new((at(dot.micros), middle), 6, OURS.filled())).ok()?;
            write(area, dot.label, (LEFT - 10, middle), 17, HPos::Right)?;
            let text = match dot.micros {
                micros if micros < 1e3 => format!("{micros:.0} µs"),
                micros => format!("{:.1} ms", micros / 1e3),
            };
            write(area, &text, (at(dot.micros) + 14, middle), 17, HPos::Left)?;
        }
        Some(())
    })
}
