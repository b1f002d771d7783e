//! A chart drawn as SVG: one file without fonts or scripts from elsewhere, for light and dark pages.

mod links;
mod style;
mod text;

use std::collections::HashMap;
use std::fmt::{self, Write};

use super::chart::{Bar, Chart, LETTERS, Note, Part, Row, WHOLE, letter, ticks};
use crate::cluster::duration;
use crate::model::{Millis, Problem, Solution};
use links::Place;
use style::{COLOURS, style};
use text::{Escaped, cut, wrap};

/// Width of the picture, in pixels like all lengths here.
const WIDTH: f64 = 1000.0;
/// Where the time axis begins and ends.
const LEFT: f64 = 130.0;
const RIGHT: f64 = WIDTH - 20.0;
/// Distance of the lines of text; their size is 12.
const LINE: f64 = 18.0;
/// About the width of a character, to tell whether a text has room.
const CHARACTER: f64 = 6.7;
/// Height of a bar with a line of text.
const LANE: f64 = 16.0;
/// A bar of this height has room for a line of text.
const READABLE: f64 = 12.0;
/// Height of a node without much on it.
const LOWEST_ROW: f64 = 26.0;
/// Distance of the nodes.
const GAP: f64 = 6.0;
/// With more nodes than this the times stand above them too.
const MOST_ON_A_SCREEN: usize = 12;
/// More tasks without a place are summed up in a line.
const MOST_NOTES: usize = 12;

/// The plan as SVG.
pub fn svg(problem: &Problem, solution: &Solution) -> String {
    render(&Chart::of_plan(problem, solution))
}

/// Draws a chart.
pub fn render(chart: &Chart) -> String {
    let mut picture = Picture {
        back: String::new(),
        ties: String::new(),
        places: vec![Vec::new(); chart.rows.len()],
        front: String::new(),
        y: 0.0,
        end: chart.end,
    };
    picture.heading(chart);
    if chart.rows.len() > MOST_ON_A_SCREEN {
        picture.y += LINE;
        picture.times(picture.y - 6.0);
    }
    let top = picture.y;
    let heights = heights(&chart.rows);
    for (index, row) in chart.rows.iter().enumerate() {
        let height = heights.get(row.capacity.as_str()).copied();
        picture.row(index, row, height.unwrap_or(LOWEST_ROW));
    }
    picture.ties(chart);
    picture.arrows(chart);
    picture.axis(top);
    picture.legend(chart);
    picture.notes(chart);
    let height = picture.y + 10.0;
    let (title, style) = (Escaped(&chart.title), style());
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\">\n\
         <title>{title}</title>\n<style>\n{style}</style>\n{}<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n{}{}{}</svg>\n",
        links::tip(chart),
        picture.back,
        picture.ties,
        picture.front
    )
}

/// Heights of whole nodes, the same for nodes of the same capacity: a line of text has room in the smallest share,
/// unless that would make a node much higher than what runs on it at a time.
fn heights(rows: &[Row]) -> HashMap<&str, f64> {
    let ceiling = match rows.len() {
        0..=8 => 8.0 * LANE,
        9..=24 => 5.0 * LANE,
        _ => 2.0 * LANE,
    };
    let mut heights = HashMap::new();
    for row in rows {
        let smallest = row.bars.iter().map(|bar| bar.share).min().unwrap_or(WHOLE);
        let shares = f64::from(WHOLE) / f64::from(smallest.max(1));
        let wanted = LANE * shares.min(1.5 * row.lanes as f64);
        let height = heights.entry(row.capacity.as_str()).or_insert(LOWEST_ROW);
        *height = wanted.min(ceiling).max(*height);
    }
    heights
}

/// What is drawn so far, and down to where.
struct Picture {
    /// What lies behind the bars: bands and grid.
    back: String,
    /// What lies behind the bars and before the bands: what holds the parts of a gang together.
    ties: String,
    front: String,
    /// Where the bars of each row are.
    places: Vec<Vec<Place>>,
    y: f64,
    end: Millis,
}

impl Picture {
    fn add(&mut self, element: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.front, "{element}");
    }

    fn add_behind(&mut self, element: fmt::Arguments<'_>) {
        let _ = writeln!(self.back, "{element}");
    }

    fn add_tie(&mut self, element: fmt::Arguments<'_>) {
        let _ = writeln!(self.ties, "{element}");
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let class = if class.is_empty() {
            String::new()
        } else {
            format!(" class=\"{class}\"")
        };
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\"{class}>{}</text>",
            Escaped(text)
        ));
    }

    fn x(&self, at: Millis) -> f64 {
        LEFT + (RIGHT - LEFT) * at.clamp(0, self.end) as f64 / self.end.max(1) as f64
    }

    fn heading(&mut self, chart: &Chart) {
        self.text(16.0, 28.0, "title", &cut(&chart.title, 0.7 * WIDTH));
        self.y = 28.0;
        for line in wrap(&chart.proof, 145) {
            self.y += LINE;
            self.text(16.0, self.y, "faint", &line);
        }
        self.y += LINE;
    }

    fn row(&mut self, index: usize, row: &Row, whole: f64) {
        let scale = whole / f64::from(WHOLE);
        let height = scale * f64::from(row.height);
        let y = self.y;
        self.add_behind(format_args!(
            "<rect class=\"band\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{}\" height=\"{height:.1}\"/>",
            RIGHT - LEFT
        ));
        let middle = y + height / 2.0 + 4.0;
        let roomy = height >= 2.0 * LINE && !row.capacity.is_empty();
        let name = cut(&row.node, LEFT - 24.0);
        self.text(
            16.0,
            if roomy { middle - 8.0 } else { middle },
            "strong",
            &name,
        );
        if roomy {
            self.text(
                16.0,
                middle + 8.0,
                "faint",
                &cut(&row.capacity, LEFT - 24.0),
            );
        }
        for bar in &row.bars {
            let (top, tall) = (scale * f64::from(bar.top), scale * f64::from(bar.share));
            let place = self.bar(row, bar, y + top, tall);
            self.places[index].push(place);
        }
        for (due, is_missed) in row.dues() {
            if due <= self.end {
                let (x, class) = (self.x(due), if is_missed { "due missed" } else { "due" });
                let (top, bottom) = (y, y + height);
                self.add(format_args!(
                    "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>"
                ));
            }
        }
        self.y += height + GAP;
    }

    /// Draws a bar; where it is.
    fn bar(&mut self, row: &Row, bar: &Bar, y: f64, height: f64) -> Place {
        let (x, to) = (self.x(bar.start), self.x(bar.end));
        // A hair's breadth between neighbours, and nothing vanishes.
        let (width, tall) = ((to - x - 1.0).max(1.0), (height - 1.0).max(1.0));
        let (start, end) = (duration::format(bar.start), duration::format(bar.end));
        let long = duration::format(bar.end - bar.start);
        let standing = bar
            .standing()
            .map_or(String::new(), |due| format!("\n{due}"));
        self.add(format_args!(
            "<g><title>{}\n{} on {}\n{start} to {end} ({long}){standing}\n{}</title>\
             <rect class=\"c{}{}{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{tall:.1}\" rx=\"2\"/>",
            Escaped(&bar.label),
            Escaped(&bar.batch),
            Escaped(&row.node),
            Escaped(&bar.requests),
            bar.task % COLOURS.len(),
            if bar.part == Part::Whole { "" } else { " gang" },
            if bar.is_late() { " late" } else { "" }
        ));
        let is_labelled = matches!(bar.part, Part::Whole | Part::First);
        if let Some(text) = caption(bar, width, tall).filter(|_| is_labelled) {
            let base = y + tall / 2.0 + 4.0;
            self.add(format_args!(
                "<text x=\"{:.1}\" y=\"{base:.1}\">{}</text>",
                x + 4.0,
                Escaped(&text)
            ));
        }
        self.add(format_args!("</g>"));
        Place {
            x,
            y,
            width,
            height: tall,
        }
    }

    fn axis(&mut self, top: f64) {
        let bottom = self.y;
        for at in ticks(self.end, 12) {
            let x = self.x(at);
            self.add_behind(format_args!(
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>"
            ));
        }
        self.y = bottom + 14.0;
        self.times(self.y);
    }

    fn times(&mut self, y: f64) {
        for at in ticks(self.end, 12) {
            let (x, label) = (self.x(at), duration::format(at));
            self.add(format_args!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"faint\" text-anchor=\"middle\">{label}</text>"
            ));
        }
    }

    fn legend(&mut self, chart: &Chart) {
        let mut x = LEFT;
        self.y += 10.0 + LINE;
        for (task, name) in chart.tasks.iter().enumerate().take(LETTERS) {
            let text = format!("{} {}", letter(task), cut(name, 400.0));
            let room = 18.0 + CHARACTER * text.chars().count() as f64 + 14.0;
            if x > LEFT && x + room > RIGHT {
                x = LEFT;
                self.y += LINE;
            }
            let (top, colour) = (self.y - 10.0, task % COLOURS.len());
            self.add(format_args!(
                "<rect class=\"c{colour}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"12\" height=\"12\" rx=\"2\"/>"
            ));
            self.text(x + 18.0, self.y, "", &text);
            x += room;
        }
        let deadlines = chart
            .deadlines("dashed lines are deadlines, and what ends after its own has a red edge");
        for text in links::legend(chart)
            .chain(deadlines)
            .chain(chart.left_out())
        {
            self.y += LINE;
            self.text(LEFT, self.y, "faint", &text);
        }
    }

    fn notes(&mut self, chart: &Chart) {
        if !chart.unplaced.is_empty() {
            self.y += 6.0;
        }
        let label = |note: &Note| format!("No place: {}", cut(&note.label, 300.0));
        let notes = || chart.unplaced.iter().take(MOST_NOTES);
        let widest = notes().map(|note| label(note).chars().count()).max();
        let x = LEFT.max(16.0 + 1.15 * CHARACTER * widest.unwrap_or(0) as f64) + 12.0;
        for note in notes() {
            self.y += LINE;
            self.text(16.0, self.y, "warn", &label(note));
            for (index, line) in wrap(&note.text, ((RIGHT - x) / CHARACTER) as usize)
                .iter()
                .enumerate()
            {
                self.y += if index > 0 { LINE } else { 0.0 };
                self.text(x, self.y, "", line);
            }
        }
        if chart.unplaced.len() > MOST_NOTES {
            self.y += LINE;
            let more = format!(
                "and {} more without a place",
                chart.unplaced.len() - MOST_NOTES
            );
            self.text(16.0, self.y, "warn", &more);
        }
    }
}

/// The longest text that says something and has room in a bar.
fn caption(bar: &Bar, width: f64, height: f64) -> Option<String> {
    if height < READABLE {
        return None;
    }
    let initial = letter(bar.task);
    let flavor = bar.flavor.as_ref();
    let flavored = flavor.map(|flavor| format!("{} {flavor} {}", bar.label, bar.size));
    let texts = [
        format!("{} {}", bar.label, bar.size),
        bar.label.clone(),
        format!("{initial} {}", bar.size),
        initial.to_string(),
    ];
    let telling = if bar.task < LETTERS { 4 } else { 2 };
    flavored
        .into_iter()
        .chain(texts.into_iter().take(telling))
        .find(|text| text.chars().count() as f64 * CHARACTER + 6.0 <= width)
}
