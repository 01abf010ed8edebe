//! Flags as anybody might have written them: mostly right, sometimes odd, now and then broken.

use fastrand::Rng;
use flipper_core::Timestamp;

use super::Case;

pub(super) struct Generator(Rng);

const NAMES: &[&str] =
    &["x", "y", "user_id", "is_admin", "näme", "", "_p", "x_", "self", "randomizer", "a__b", "x__gt", "😀"];
const SYMBOLS: &[&str] =
    &["null", "\"ne\"", "\"gt\"", "\"gte\"", "\"lt\"", "\"lte\"", "\"in\"", "\"not_in\""];
const SCALARS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "5",
    "1.0",
    "0.0",
    "-0.0",
    "0.5",
    "1e22",
    "1E+22",
    "10000000000000000000000",
    "9007199254740993",
    "9007199254740992.0",
    "18446744073709551615",
    "-9223372036854775809",
    "1e400",
    "-1e400",
    "Infinity",
    "true",
    "false",
    "null",
    "\"\"",
    "\"1\"",
    "\"a\"",
    "\"b\"",
    "\"abc\"",
    "\"é\"",
    "\"\\u00e9\"",
    "\"😀\"",
    "\"\\ud83d\\ude00\"",
    "\"～\"",
    "\"\\ud800\"",
    "\"\\n\\u007f\\/\"",
    "1.50",
    "1e-7",
    "123456789.125e3",
];

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    pub(super) fn case(&mut self) -> Case {
        let kwargs = self.kwargs();
        Case {
            item: self.item(),
            kwargs,
            now: Timestamp::from_micros(
                1_700_000_000_000_000 + self.0.i64(-200_000_000_000..200_000_000_000),
            ),
            drawn: self.0.f64(),
        }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.0.u32(0..n) == 0
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.0.usize(0..from.len())]
    }

    /// Python reads NaN as one object, which it takes for equal to itself in lists; so there is none in values.
    fn value(&mut self, depth: u32) -> String {
        match self.0.u32(0..if depth > 2 { 8 } else { 11 }) {
            0..8 => self.pick(SCALARS).to_owned(),
            8 | 9 => self.list(depth + 1),
            _ => {
                let members: Vec<_> = (0..self.0.u32(0..3))
                    .map(|_| format!("{}: {}", self.name(), self.value(depth + 1)))
                    .collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }

    fn list(&mut self, depth: u32) -> String {
        let elements: Vec<_> = (0..self.0.u32(0..4)).map(|_| self.value(depth)).collect();
        format!("[{}]", elements.join(", "))
    }

    fn name(&mut self) -> String {
        // The common names more often, so that attributes and checks meet.
        let names = if self.one_in(3) { NAMES } else { &NAMES[..3] };
        format!("\"{}\"", self.pick(names))
    }

    fn kwargs(&mut self) -> String {
        let pairs: Vec<_> =
            (0..self.0.u32(0..4)).map(|_| format!("{}: {}", self.name(), self.value(0))).collect();
        format!("{{{}}}", pairs.join(", "))
    }

    fn condition(&mut self) -> String {
        let mut variables = Vec::new();
        for _ in 0..self.0.u32(0..3) {
            let name = self.name();
            let checks: Vec<_> = (0..self.0.u32(0..4))
                .map(|_| {
                    let symbol = match self.0.u32(0..160) {
                        0 => "\"eq\"",
                        1 => "\"\"",
                        2 => "0",
                        _ => self.pick(SYMBOLS),
                    };
                    let variable = if self.one_in(10) { self.name() } else { name.clone() };
                    let value =
                        if symbol.contains("in") && !self.one_in(8) { self.list(1) } else { self.value(0) };
                    format!(r#"{{"variable": {variable}, "value": {value}, "operator": {symbol}}}"#)
                })
                .collect();
            variables.push(format!("{name}: [{}]", checks.join(", ")));
        }
        format!("{{{}}}", variables.join(", "))
    }

    fn share(&mut self) -> String {
        match self.0.u32(0..24) {
            0 => "0".to_owned(),
            1 => "true".to_owned(),
            2 => "null".to_owned(),
            3 => "\"0.5\"".to_owned(),
            4 => "NaN".to_owned(),
            5 => "1".to_owned(),
            6 => "[]".to_owned(),
            _ => format!("{:.3}", self.0.f64()),
        }
    }

    fn percentage(&mut self) -> String {
        match self.0.u32(0..16) {
            0 => "null".to_owned(),
            1 => r#"{"type": "Exponential"}"#.to_owned(),
            2 => "{}".to_owned(),
            3 => "0.5".to_owned(),
            4 => r#"{"type": "Percentage"}"#.to_owned(),
            5..10 => {
                let mut fields = vec![r#""type": "LinearRampPercentage""#.to_owned()];
                for field in ["initial_value", "final_value"] {
                    if !self.one_in(6) {
                        fields.push(format!("\"{field}\": {}", self.share()));
                    }
                }
                if !self.one_in(6) {
                    let duration =
                        self.pick(&["3600", "0", "0.0", "-60", "86400", "200000.5", "1", "true", "1e400"]);
                    fields.push(format!("\"ramp_duration\": {duration}"));
                }
                if !self.one_in(6) {
                    let secs = 1_700_000_000 + self.0.i64(-200_000..200_000);
                    let start = match self.0.u32(0..12) {
                        0 => "null".to_owned(),
                        1 => format!("{secs}.1234565"),
                        2 => "\"now\"".to_owned(),
                        3 => "-62135596800.5".to_owned(),
                        4 => "true".to_owned(),
                        5 => "-5.9".to_owned(),
                        _ => secs.to_string(),
                    };
                    fields.push(format!("\"initial_time\": {start}"));
                }
                format!("{{{}}}", fields.join(", "))
            }
            _ => format!(r#"{{"type": "Percentage", "value": {}}}"#, self.share()),
        }
    }

    fn bucketer(&mut self) -> String {
        match self.0.u32(0..16) {
            0 => "null".to_owned(),
            1 => r#"{"type": "Nope"}"#.to_owned(),
            2 => r#"{"kind": "NoOpBucketer"}"#.to_owned(),
            3..6 => r#"{"type": "NoOpBucketer"}"#.to_owned(),
            6..10 => format!(r#"{{"type": "PercentageBucketer", "percentage": {}}}"#, self.percentage()),
            _ => {
                let whitelist = match self.0.u32(0..14) {
                    0 => "null".to_owned(),
                    1 => "\"xy\"".to_owned(),
                    2 => "[1, null]".to_owned(),
                    3 => "[[]]".to_owned(),
                    4 => "{\"x\": 1}".to_owned(),
                    5..9 => "[]".to_owned(),
                    _ => format!("[{}, {}]", self.name(), self.name()),
                };
                let percentage = self.percentage();
                format!(
                    r#"{{"type": "ConsistentHashPercentageBucketer", "percentage": {percentage}, "key_whitelist": {whitelist}}}"#
                )
            }
        }
    }

    fn item(&mut self) -> String {
        let is_enabled = if self.one_in(6) { self.value(0) } else { "true".to_owned() };
        let mut meta = Vec::new();
        if !self.one_in(10) {
            let data = if self.one_in(4) { self.value(0) } else { format!("{{\"k\": {}}}", self.value(0)) };
            meta.push(format!("\"client_data\": {data}"));
        }
        if !self.one_in(60) {
            meta.push("\"created_date\": 1700000000".to_owned());
        }
        if !self.one_in(10) {
            let conditions = match self.0.u32(0..40) {
                0 => "null".to_owned(),
                1 => "{}".to_owned(),
                2 => "[null]".to_owned(),
                3 => r#"[{"x": {}}]"#.to_owned(),
                4 => r#"[{"x": [{"variable": "x", "operator": null}]}]"#.to_owned(),
                5 => r#"[{"x": [{"variable": 1, "value": 1, "operator": null}]}]"#.to_owned(),
                6..16 => "[]".to_owned(),
                _ => {
                    let conditions: Vec<_> = (0..self.0.u32(1..4)).map(|_| self.condition()).collect();
                    format!("[{}]", conditions.join(", "))
                }
            };
            meta.push(format!("\"conditions\": {conditions}"));
        }
        if !self.one_in(10) {
            meta.push(format!("\"bucketer\": {}", self.bucketer()));
        }
        if self.one_in(8) {
            meta.push(format!("\"owner\": {}", self.value(0)));
        }
        if self.one_in(4) {
            self.0.shuffle(&mut meta);
        }
        let meta = if self.one_in(60) { self.value(0) } else { format!("{{{}}}", meta.join(", ")) };
        let mut item = vec![
            format!("\"feature_name\": {}", if self.one_in(20) { self.value(0) } else { "\"f\"".to_owned() }),
            format!("\"is_enabled\": {is_enabled}"),
            format!("\"meta\": {meta}"),
        ];
        if self.one_in(8) {
            item.push(format!("{}: {}", self.name(), self.value(0)));
        }
        if self.one_in(30) {
            item.push("\"is_enabled\": true".to_owned());
        }
        if self.one_in(60) {
            item.remove(0);
        }
        format!("{{{}}}", item.join(if self.one_in(4) { "," } else { ", " }))
    }
}
