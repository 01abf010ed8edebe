//! `simulate`.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flipper::json::Value;
use flipper::{Evaluator, Flag, Reason, Timestamp};

use super::plot::plot;
use super::probes::Set;
use super::read;
use crate::cli::SimulateArgs;
use crate::failure::{Code, Failure, Result};
use crate::pairs::{Pair, context, value_of};
use crate::progress::Progress;
use crate::run::Run;
use crate::shape::object;
use crate::words::{percent, state};

/// How wide a bar is, in characters.
const WIDTH: usize = 50;

/// How many users get a flag at a time.
pub(super) struct Point {
    pub(super) time: Timestamp,
    /// The bucketer's share.
    pub(super) share: Option<f64>,
    pub(super) on: u64,
}

pub(crate) async fn simulate(run: &mut Run, args: &SimulateArgs) -> Result<Code> {
    let client = run.settings.open().await?;
    let flag = read(&client, &args.name).await?;
    let now = args.context.at.unwrap_or(run.moment.now);
    run.moment = run.moment.at(now);
    let percentage = flag.bucketer().as_percentage();
    let share =
        |time| percentage.and_then(|percentage| percentage.value_under(args.context.semantics.into(), time));
    let point = |time| Point { time, share: share(time), on: 0 };
    let mut points: Vec<_> = std::iter::once(now).chain(ramp_times(&flag, args.points)).map(point).collect();
    let count = count(run, args, &flag, &mut points)?;
    if run.out.is_json() {
        run.out.json(&json(args, count, &points))?;
    } else {
        print(run, args, &flag, count, &points)?;
    }
    if let Some(path) = &args.out {
        plot(path, args, count, &points, &run.moment)?;
        if !run.out.is_json() {
            run.out.line(format_args!("drawn in {}", path.display()))?;
        }
    }
    Ok(Code::Done)
}

/// Times at which to look at a ramp, from its start to its end.
fn ramp_times(flag: &Flag, points: u16) -> Vec<Timestamp> {
    let ramp = flag.bucketer().as_percentage().and_then(flipper::Percentage::as_ramp);
    let Some((start, end)) = ramp.and_then(|ramp| Some((ramp.start?, ramp.end()?))) else {
        return Vec::new();
    };
    let whole = end.as_micros().saturating_sub(start.as_micros());
    let last = f64::from(points - 1);
    let at = |number: u16| start + Duration::from_secs_f64(whole as f64 * f64::from(number) / last / 1e6);
    (0..points).map(at).collect()
}

/// Asks for each user at each time; returns how many users there are.
fn count(run: &Run, args: &SimulateArgs, flag: &Flag, points: &mut [Point]) -> Result<u64> {
    let clock = Set::default();
    // The same numbers each time, so that two runs can be compared.
    let numbers = Mutex::new(fastrand::Rng::with_seed(7));
    let random = || numbers.lock().unwrap_or_else(PoisonError::into_inner).f64();
    let evaluator = Evaluator::new()
        .with_semantics(args.context.semantics.into())
        .with_clock(&clock)
        .with_random(&random);
    let progress = Progress::new("users", args.keys.is_none().then_some(args.count), run.out.is_json());
    let mut pairs = args.context.context.clone();
    pairs.push(Pair { name: args.key.clone(), value: Value::Null, is_bare: false });
    let mut count = 0;
    let mut ask = |key: Value| {
        if let Some(pair) = pairs.last_mut() {
            pair.value = key;
        }
        let context = context(&pairs);
        for point in &mut *points {
            clock.to(point.time);
            let evaluation = evaluator.evaluate(flag, &context.as_context(), false);
            if evaluation.reason == Reason::Unsupported {
                let message = format!(
                    "nobody can tell for whom {:?} is on: it depends on what this version does not know",
                    flag.name()
                );
                return Err(Failure::error(message));
            }
            point.on += u64::from(evaluation.value);
        }
        count += 1;
        if count % 1024 == 0 {
            progress.add(1024);
        }
        Ok(())
    };
    match &args.keys {
        None => (0..args.count).try_for_each(|key| ask(key.into()))?,
        Some(path) => {
            let failed = |error: std::io::Error| Failure::file(path, &error);
            for line in BufReader::new(File::open(path).map_err(failed)?).lines() {
                let line = line.map_err(failed)?;
                if !line.trim().is_empty() {
                    ask(value_of(&line).0)?;
                }
            }
        }
    }
    if count == 0 {
        return Err(Failure::error("there are no users to ask for: the file is empty"));
    }
    Ok(count)
}

fn print(run: &mut Run, args: &SimulateArgs, flag: &Flag, count: u64, points: &[Point]) -> Result<()> {
    let words = state(flag, &run.moment);
    run.out.line(format_args!("{} is {words}", flag.name()))?;
    let who = match &args.keys {
        Some(path) => format!("the {count} values of `{}` in {}", args.key, path.display()),
        None => format!("{count} values of `{}`, from 0 on", args.key),
    };
    run.out.line(format_args!("Who gets it, of {who}:"))?;
    let times: Vec<_> = points
        .iter()
        .enumerate()
        .map(|(at, point)| {
            if at == 0 {
                format!("now, {}", run.moment.show(point.time))
            } else {
                run.moment.show(point.time)
            }
        })
        .collect();
    let width = times.iter().map(String::len).max().unwrap_or(0);
    let digits = count.to_string().len();
    for (at, (time, point)) in times.iter().zip(points).enumerate() {
        if at == 1 {
            run.out.line("over the ramp:")?;
        }
        let part = point.on as f64 / count as f64;
        let filled = (part * WIDTH as f64).round() as usize;
        let bar = format!("{}{}", "#".repeat(filled), " ".repeat(WIDTH.saturating_sub(filled)));
        run.out.line(format_args!(
            "  {time:<width$}  {:>digits$}  {:>8}  |{bar}|",
            point.on,
            percent(part)
        ))?;
    }
    Ok(())
}

fn json(args: &SimulateArgs, count: u64, points: &[Point]) -> Value {
    let points: Vec<_> = points
        .iter()
        .map(|point| {
            object([
                ("time", point.time.as_secs().into()),
                ("share", point.share.filter(|share| share.is_finite()).into()),
                ("on", point.on.into()),
            ])
        })
        .collect();
    object([("flag", args.name.as_str().into()), ("count", count.into()), ("points", points.into())])
}
