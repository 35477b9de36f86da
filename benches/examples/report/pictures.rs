//! The figures as pictures.

use std::error::Error;

use plotters::prelude::*;

use crate::figures::{Figures, folder};

type Picture<'p> = DrawingArea<SVGBackend<'p>, plotters::coord::Shift>;

const OURS: RGBColor = RGBColor(31, 119, 180);
const PEERS: RGBColor = RGBColor(158, 158, 158);

pub(crate) fn draw(figures: &Figures) -> Result<(), Box<dyn Error>> {
    let mut shares = Vec::new();
    for server in figures.servers() {
        shares.push((server.to_string(), figures.serve("unix", 16, 1, server)?.ratio * 100.0));
    }
    bars(
        "throughput",
        "1 KiB answers a second, 16 kept connections: % of a program that parses nothing",
        &shares,
    )?;
    let mut gain = Vec::new();
    for in_flight in [1, 32] {
        let rate = figures.serve("unix", 4, in_flight, "fcgi-smol")?.rate;
        gain.push((format!("fcgi-smol, {in_flight} in flight"), rate / 1000.0));
    }
    bars("multiplexing", "Thousand answers a second on 4 connections", &gain)?;
    parameters()
}

/// Horizontal bars, each with its name and its figure.
fn bars(name: &str, title: &str, values: &[(String, f64)]) -> Result<(), Box<dyn Error>> {
    let path = folder().join(format!("results/{name}.svg"));
    let (row, top) = (34, 50);
    let height = top + row * values.len() as i32 + 10;
    let picture: Picture<'_> = SVGBackend::new(&path, (760, height as u32)).into_drawing_area();
    picture.fill(&WHITE)?;
    picture.draw(&Text::new(title, (16, 16), ("sans-serif", 18)))?;
    let most = values.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    for (index, (label, value)) in values.iter().enumerate() {
        let y = top + row * index as i32;
        let end = 190 + (value / most * 480.0) as i32;
        let color = if label.starts_with("fcgi-") { OURS } else { PEERS };
        picture.draw(&Text::new(label.as_str(), (16, y + 5), ("sans-serif", 16)))?;
        picture.draw(&Rectangle::new([(190, y), (end, y + row - 10)], color.filled()))?;
        picture.draw(&Text::new(format!("{value:.0}"), (end + 8, y + 5), ("sans-serif", 16)))?;
    }
    Ok(picture.present()?)
}

/// Time by pairs, both axes logarithmic.
fn parameters() -> Result<(), Box<dyn Error>> {
    let path = folder().join("results/parameters.svg");
    let picture: Picture<'_> = SVGBackend::new(&path, (760, 420)).into_drawing_area();
    picture.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&picture)
        .caption("From a request's bytes to its parameters and a look-up", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d((1_f64..1000.0).log_scale(), (10_f64..1_000_000.0).log_scale())?;
    chart.configure_mesh().x_desc("pairs").y_desc("nanoseconds").draw()?;
    for (function, color) in [("fcgi-proto", OURS), ("tokio-fastcgi", PEERS)] {
        let mut points = Vec::new();
        for count in [1, 10, 100, 1000] {
            points.push((f64::from(count), Figures::criterion("parse, by pairs", function, count)?));
        }
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(3)))?
            .label(function)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(3)));
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
    Ok(picture.present()?)
}
