//! The figures as pictures.

use std::error::Error;

use plotters::prelude::*;

use crate::figures::{EPOLL, Figures, folder};

type Picture<'p> = DrawingArea<SVGBackend<'p>, plotters::coord::Shift>;

/// Its name, colour and points.
type Line<'l> = (&'l str, RGBColor, Vec<(f64, f64)>);

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
    for (name, by_connections, title, x) in [
        ("requests", false, "Processor time of a request, many on one connection", "requests in flight"),
        ("connections", true, "Processor time of a request, one on each of many connections", "connections"),
    ] {
        let mut lines = Vec::new();
        for (server, color) in [("fcgi-smol", OURS), (EPOLL, PEERS)] {
            lines.push((server, color, figures.curve(server, by_connections)?));
        }
        curves(name, [title, x, "microseconds"], &lines)?;
    }
    let mut lines = Vec::new();
    for (function, color) in [("fcgi-proto", OURS), ("tokio-fastcgi", PEERS)] {
        let mut points = Vec::new();
        for count in [1, 10, 100, 1000] {
            points.push((f64::from(count), Figures::criterion("parse, by pairs", function, count)?));
        }
        lines.push((function, color, points));
    }
    curves(
        "parameters",
        ["From a request's bytes to its parameters and a look-up", "pairs", "nanoseconds"],
        &lines,
    )
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

/// Lines with their names, both axes logarithmic, with a caption and the axes' names.
fn curves(name: &str, [caption, x, y]: [&str; 3], lines: &[Line<'_>]) -> Result<(), Box<dyn Error>> {
    let path = folder().join(format!("results/{name}.svg"));
    let picture: Picture<'_> = SVGBackend::new(&path, (760, 420)).into_drawing_area();
    picture.fill(&WHITE)?;
    let all = || lines.iter().flat_map(|(_, _, points)| points);
    let most = all().fold((1.0, 1.0), |(x, y): (f64, f64), point| (x.max(point.0), y.max(point.1)));
    let least = all().map(|(_, y)| *y).fold(most.1, f64::min);
    let mut chart = ChartBuilder::on(&picture)
        .caption(caption, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d((1.0..most.0).log_scale(), (least / 2.0..most.1 * 2.0).log_scale())?;
    chart.configure_mesh().x_desc(x).y_desc(y).draw()?;
    for (label, color, points) in lines {
        let color = *color;
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(3)))?
            .label(*label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(3)));
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
    Ok(picture.present()?)
}
