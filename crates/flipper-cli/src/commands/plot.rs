//! A plot in a file.

use std::error::Error;
use std::fs::File;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::simulate::Point;
use crate::cli::SimulateArgs;
use crate::escape::shown;
use crate::failure::{Failure, Result};
use crate::time::Moment;

const SIZE: (u32, u32) = (960, 540);

const FONT: &str = "sans-serif";

/// Draws how many users get a flag, over the ramp, into a file whose name ends in `.svg` or `.png`.
pub(super) fn plot(
    path: &Path,
    args: &SimulateArgs,
    count: u64,
    points: &[Point],
    moment: &Moment,
) -> Result<()> {
    // Pictures have no fonts of their own, and the system may have none.
    let font = epaint_default_fonts::UBUNTU_LIGHT;
    let _ = plotters::style::register_font(FONT, FontStyle::Normal, font);
    let failed = |error: Box<dyn Error>| Failure::error(format!("{}: {error}", path.display()));
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => {
            let mut text = String::new();
            {
                let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
                draw(&area, args, count, points, moment).map_err(failed)?;
            }
            std::fs::write(path, text).map_err(|error| Failure::file(path, &error))
        }
        Some("png") => {
            let mut pixels = vec![0; SIZE.0 as usize * SIZE.1 as usize * 3];
            {
                let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
                draw(&area, args, count, points, moment).map_err(failed)?;
            }
            write_png(path, &pixels).map_err(failed)
        }
        _ => {
            Err(Failure::error(format!("{}: a plot is a file that ends in `.svg` or `.png`", path.display())))
        }
    }
}

fn write_png(path: &Path, pixels: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut encoder = png::Encoder::new(File::create(path)?, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(())
}

fn draw<B>(
    area: &DrawingArea<B, Shift>,
    args: &SimulateArgs,
    count: u64,
    points: &[Point],
    moment: &Moment,
) -> Result<(), Box<dyn Error>>
where
    B: DrawingBackend,
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    // Of a flag without a ramp there is only now, which is drawn as a line.
    let (now, ramp) = points.split_first().ok_or("there is nothing to draw")?;
    let part = |point: &Point| point.on as f64 / count as f64 * 100.0;
    let line: Vec<_> = if ramp.is_empty() { vec![now, now] } else { ramp.iter().collect() };
    let seconds = |point: &Point| point.time.as_micros() as f64 / 1e6;
    let first = line.first().map_or(0.0, |point| seconds(point));
    let last = line.last().map_or(first, |point| seconds(point)).max(first + 1.0);
    let time = |seconds: &f64| moment.show(flipper::Timestamp::from_micros((seconds * 1e6) as i64));
    let caption = format!("{}: who gets it, of {count} values of {}", args.name, args.key);
    let mut chart = ChartBuilder::on(area)
        .caption(shown(&caption), (FONT, 22))
        .margin(20)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(first..last, 0.0..100.0)?;
    chart
        .configure_mesh()
        .x_labels(5)
        .y_labels(11)
        .x_label_formatter(&time)
        .y_label_formatter(&|percent| format!("{percent:.0} %"))
        .label_style((FONT, 14))
        .light_line_style(WHITE)
        .draw()?;
    let at = |(number, point): (usize, &&Point)| {
        let seconds = if ramp.is_empty() && number > 0 { last } else { seconds(point) };
        (seconds, part(point))
    };
    let series: Vec<_> = line.iter().enumerate().map(at).collect();
    let blue = RGBColor(31, 119, 180);
    chart.draw_series(AreaSeries::new(series.iter().copied(), 0.0, blue.mix(0.2)))?;
    chart.draw_series(LineSeries::new(series, blue.stroke_width(2)))?;
    // Where it is now.
    let here = seconds(now);
    if (first..=last).contains(&here) {
        chart.draw_series([Circle::new((here, part(now)), 5, RED.filled())])?;
    }
    area.present()?;
    Ok(())
}
