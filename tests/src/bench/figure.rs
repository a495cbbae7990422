//! Figures: what was measured, beside its floor and its aim.

use std::io::Write as _;

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim {
    /// It is there to be compared with.
    None,
    AtMost(f64),
    /// So many times the floor, or less.
    TimesFloorAtMost(f64),
    /// So much of the floor, or more.
    OfFloorAtLeast(f64),
}

/// One line of the table.
#[derive(Debug)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    floor: Option<(f64, &'static str)>,
    aim: Aim,
}

/// All figures of a run, printed as they come.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Figure>);

/// Writes to standard output; a reader that has gone is not the benchmark's business.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
}

impl Table {
    /// A heading.
    pub(super) fn section(&self, title: &str) {
        say(&format!("\n{title}\n  {:<52} {:>16}  {:>10} {:>6}  aim", "", "measured", "floor", "ratio"));
    }

    /// A figure without a floor.
    pub(super) fn plain(&mut self, name: impl Into<String>, value: f64, unit: &'static str, aim: Aim) {
        self.add(Figure { name: name.into(), value, unit, floor: None, aim });
    }

    /// A figure beside its floor.
    pub(super) fn beside(
        &mut self,
        name: impl Into<String>,
        (value, unit): (f64, &'static str),
        floor: (f64, &'static str),
        aim: Aim,
    ) {
        self.add(Figure { name: name.into(), value, unit, floor: Some(floor), aim });
    }

    fn add(&mut self, figure: Figure) {
        say(&figure.line());
        self.0.push(figure);
    }

    /// All figures as JSON.
    pub(super) fn json(&self) -> String {
        let figures: Vec<_> = self.0.iter().map(Figure::json).collect();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        format!("{:#}\n", serde_json::json!({ "schema": "countersign.bench/1", "cores": cores, "figures": figures }))
    }
}

impl Figure {
    fn ratio(&self) -> Option<f64> {
        self.floor.map(|(floor, _)| self.value / floor)
    }

    fn verdict(&self) -> Option<bool> {
        match self.aim {
            Aim::None => None,
            Aim::AtMost(limit) => Some(self.value <= limit),
            Aim::TimesFloorAtMost(limit) => self.ratio().map(|ratio| ratio <= limit),
            Aim::OfFloorAtLeast(limit) => self.ratio().map(|ratio| ratio >= limit),
        }
    }

    fn aim(&self) -> String {
        match self.aim {
            Aim::None => String::new(),
            Aim::AtMost(limit) => format!("at most {limit} {}", self.unit),
            Aim::TimesFloorAtMost(limit) => format!("at most {limit:.2} of the floor"),
            Aim::OfFloorAtLeast(limit) => format!("at least {limit:.2} of the floor"),
        }
    }

    fn line(&self) -> String {
        let floor = self.floor.map_or_else(String::new, |(floor, _)| number(floor));
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let verdict = self.verdict().map_or("", |holds| if holds { ": holds" } else { ": MISSES" });
        let value = format!("{} {}", number(self.value), self.unit);
        let what = self.floor.map_or_else(String::new, |(_, what)| format!("  [floor: {what}]"));
        format!("  {:<52} {value:>16}  {floor:>10} {ratio:>6}  {}{verdict}{what}", self.name, self.aim())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name, "value": self.value, "unit": self.unit, "floor": self.floor.map(|(floor, _)| floor),
            "floor_is": self.floor.map(|(_, what)| what), "ratio": self.ratio(), "aim": self.aim(), "holds": self.verdict(),
        })
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        1000.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}
