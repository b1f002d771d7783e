//! A chart drawn with characters, for terminals and logs.

use std::io::IsTerminal;

use super::chart::{Bar, Chart, LETTERS, Part, Row, letter, ticks};
use crate::cluster::duration;
use crate::model::Millis;

/// The narrowest screen that a chart is drawn for.
const NARROWEST: usize = 40;
/// Where nobody says how wide it is.
const USUAL_WIDTH: usize = 100;
/// Longer names of nodes are cut.
const LONGEST_NAME: usize = 24;
/// More lanes of a node are summed up in a line.
const MOST_LANES: usize = 8;
/// Backgrounds, from the 256 colours that terminals know; the text on them is black.
const COLOURS: [u8; 12] = [110, 215, 114, 210, 182, 180, 221, 116, 250, 218, 147, 186];

/// Where a chart is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Number of columns.
    pub width: usize,
    /// Whether it shows colours.
    pub colour: bool,
}

impl Screen {
    /// Standard output: its width, and colours where it is a terminal and `NO_COLOR` is not set.
    pub fn stdout() -> Self {
        let out = std::io::stdout();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let size = terminal_size::terminal_size_of(&out);
        Self {
            width: size.map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0)),
            colour: out.is_terminal() && !plain,
        }
    }

    /// Text in this style, an SGR parameter such as `1` for bold or `2` for faint.
    pub fn style(self, parameter: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{parameter}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Draws a chart: a line for each lane of each node, the axis, a legend, and what has no place.
pub fn render(chart: &Chart, screen: Screen) -> String {
    let width = screen.width.max(NARROWEST);
    let names = chart.rows.iter().map(|row| row.node.chars().count());
    let margin = names.max().unwrap_or(0).min(LONGEST_NAME) + 1;
    let waits = |after: &Vec<usize>| !after.is_empty();
    let canvas = Canvas {
        waits: chart.after.iter().map(waits).collect(),
        screen,
        margin,
        columns: width - margin - 1,
        end: chart.end,
    };
    let mut lines = vec![screen.style("1", &cut(&chart.title, width))];
    if !chart.proof.is_empty() {
        lines.push(chart.proof.clone());
    }
    lines.push(String::new());
    for row in &chart.rows {
        canvas.row(row, &mut lines);
    }
    canvas.axis(&mut lines);
    canvas.legend(chart, &mut lines);
    let deadlines = chart.deadlines("! ends after its own");
    lines.extend(deadlines.map(|text| screen.style("2", &text)));
    lines.extend(chart.left_out().map(|text| screen.style("2", &text)));
    for note in &chart.unplaced {
        let label = screen.style("1;31", &format!("no place: {}", cut(&note.label, width)));
        lines.push(format!("{label}  {}", cut(&note.text, usize::MAX)));
    }
    lines.join("\n") + "\n"
}

struct Canvas {
    /// Whether each task waits for others.
    waits: Vec<bool>,
    screen: Screen,
    margin: usize,
    columns: usize,
    end: Millis,
}

impl Canvas {
    /// The column of a moment; the last one for the end of the axis.
    fn column(&self, at: Millis) -> usize {
        let column = i128::from(at.clamp(0, self.end)) * self.columns as i128 * 2
            / i128::from(self.end.max(1));
        usize::try_from((column + 1) / 2).unwrap_or(self.columns)
    }

    fn row(&self, row: &Row, lines: &mut Vec<String>) {
        for lane in 0..row.lanes.clamp(1, MOST_LANES) {
            let name = if lane == 0 {
                cut(&row.node, self.margin - 1)
            } else {
                String::new()
            };
            let name = format!("{name:<width$}", width = self.margin);
            lines.push(name + "│" + &self.lane(row, lane));
        }
        if row.lanes > MOST_LANES {
            let more = format!("and {} more at a time", row.lanes - MOST_LANES);
            let more = format!("{:margin$}│ {more}", "", margin = self.margin);
            let more = cut(&more, self.margin + 1 + self.columns);
            lines.push(self.screen.style("2", &more));
        }
    }

    fn lane(&self, row: &Row, lane: usize) -> String {
        let mut text = String::new();
        let mut drawn = 0;
        let bars: Vec<&Bar> = row.bars.iter().filter(|bar| bar.lane == lane).collect();
        for (index, bar) in bars.iter().enumerate() {
            let from = self.column(bar.start).clamp(drawn, self.columns);
            let limit = bars
                .get(index + 1)
                .map_or(self.columns, |next| self.column(next.start));
            // Even the shortest bar is seen, unless the next one starts in the same column.
            let to = self
                .column(bar.end)
                .max(from + 1)
                .min(limit.max(from))
                .min(self.columns);
            text += &" ".repeat(from - drawn);
            text += &self.bar(bar, to - from);
            drawn = to;
        }
        text.trim_end_matches(' ').to_owned()
    }

    /// A gang is one bar over its nodes: its first row has the upper edge and the text, its last row the lower edge. In
    /// front of what waits for other tasks stands `>`, and `!` of what ends after its deadline.
    fn bar(&self, bar: &Bar, width: usize) -> String {
        if width == 0 {
            return String::new();
        }
        let is_labelled = matches!(bar.part, Part::Whole | Part::First);
        let initial = letter(bar.task);
        let (left, fill, right) = match (bar.part, self.screen.colour) {
            (Part::Whole, true) => ('▏', ' ', ' '),
            (Part::Whole, false) => ('[', '-', ']'),
            (Part::First, _) => ('┏', '━', '┓'),
            (Part::Middle, _) => ('┃', ' ', '┃'),
            (Part::Last, _) => ('┗', '━', '┛'),
        };
        let inner = width.saturating_sub(2);
        let text = match is_labelled {
            true => self.text(bar, inner),
            false => String::new(),
        };
        let drawn = match width {
            1 if is_labelled => initial.to_string(),
            1 => left.to_string(),
            2 if is_labelled => format!("{left}{initial}"),
            _ => {
                let rest = inner.saturating_sub(text.chars().count());
                format!("{left}{text}{}{right}", fill.to_string().repeat(rest))
            }
        };
        if !self.screen.colour {
            return drawn;
        }
        let colour = COLOURS[bar.task % COLOURS.len()];
        self.screen.style(&format!("38;5;16;48;5;{colour}"), &drawn)
    }

    /// The longest text about a bar that has room.
    fn text(&self, bar: &Bar, room: usize) -> String {
        let waits = self.waits.get(bar.task).is_some_and(|waits| *waits);
        let mark = match (bar.is_late(), waits) {
            (true, true) => "!>",
            (true, false) => "!",
            (false, true) => ">",
            (false, false) => "",
        };
        let initial = letter(bar.task);
        let (label, size) = (cut(&bar.label, usize::MAX), &bar.size);
        let flavor = bar.flavor.as_ref();
        let flavored =
            flavor.map(|flavor| cut(&format!("{mark}{label} {flavor} {size}"), usize::MAX));
        let others = [
            format!("{mark}{label} {size}"),
            format!("{mark}{label}"),
            format!("{mark}{initial} {size}"),
            format!("{mark}{initial}"),
            initial.to_string(),
        ];
        let mut texts = flavored.into_iter().chain(others);
        texts
            .find(|text| text.chars().count() <= room)
            .unwrap_or_default()
    }

    fn axis(&self, lines: &mut Vec<String>) {
        let mut rule = vec!['─'; self.columns];
        let mut labels = String::new();
        for at in ticks(self.end, (self.columns / 10).max(2)) {
            let column = self.column(at);
            if let Some(mark) = rule.get_mut(column) {
                *mark = '┬';
            }
            let label = duration::format(at);
            let written = labels.chars().count();
            if column >= written && column + label.len() <= self.columns {
                labels += &" ".repeat(column - written);
                labels += &label;
            }
        }
        let blank = " ".repeat(self.margin);
        lines.push(format!("{blank}└{}", rule.into_iter().collect::<String>()));
        lines.push(self.screen.style("2", &format!("{blank} {labels}")));
    }

    /// The letters of the tasks, as many in a line as there is room for.
    fn legend(&self, chart: &Chart, lines: &mut Vec<String>) {
        let width = self.margin + self.columns;
        let (mut line, mut used) = (String::new(), 0);
        for (task, name) in chart.tasks.iter().enumerate().take(LETTERS) {
            let name = cut(&format!("{name}{}", after(chart, task)), width - 4);
            let room = name.chars().count() + 4;
            if used > 0 && used + room > width {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                used = 0;
            }
            let colour = format!("38;5;16;48;5;{}", COLOURS[task % COLOURS.len()]);
            line += &format!(
                "{} {name}  ",
                self.screen.style(&colour, &letter(task).to_string())
            );
            used += room;
        }
        if used > 0 {
            lines.push(line.trim_end().to_owned());
        }
    }
}

/// Which tasks this one waits for, by their letters.
fn after(chart: &Chart, task: usize) -> String {
    let before = chart.after.get(task).map_or(&[][..], Vec::as_slice);
    match before {
        [] => String::new(),
        all => {
            let letters: String = all.iter().map(|before| letter(*before)).collect();
            format!(" (after {letters})")
        }
    }
}

/// At most so many characters; a cut is marked. What would steer the terminal is not let through.
fn cut(text: &str, most: usize) -> String {
    let plain = text.chars().map(|letter| {
        if letter.is_control() {
            '\u{fffd}'
        } else {
            letter
        }
    });
    if text.chars().count() <= most {
        return plain.collect();
    }
    plain.take(most.saturating_sub(1)).chain(['…']).collect()
}
