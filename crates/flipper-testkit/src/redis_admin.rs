//! Administration of Redis servers: one command, one answer, on a connection that blocks.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Error, ErrorKind, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a server may take to answer. One that moves a key to another one may take longer than others.
const PATIENCE: Duration = Duration::from_secs(6);

/// Sends a command to a server, and returns its answer: a line for each element, and what is wrong as the server puts it. Nothing
/// if there is no answer.
pub(crate) fn ask(address: SocketAddr, words: &[&str]) -> String {
    answer(address, words).unwrap_or_default()
}

/// As [`ask`], of a command that has to be answered with `OK`.
pub(crate) fn tell(address: SocketAddr, words: &[&str]) {
    let answer = ask(address, words);
    assert_eq!(answer, "OK", "{address}: {words:?}");
}

fn answer(address: SocketAddr, words: &[&str]) -> Result<String> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        let _ = write!(command, "${}\r\n{word}\r\n", word.len());
    }
    (&stream).write_all(command.as_bytes())?;
    let mut lines = Vec::new();
    read(&mut BufReader::new(stream), &mut lines)?;
    Ok(lines.join("\n"))
}

/// Reads one answer of the second version of the protocol.
fn read(from: &mut impl BufRead, lines: &mut Vec<String>) -> Result<()> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let odd = || Error::from(ErrorKind::InvalidData);
    let (kind, rest) = line.trim_end().split_at_checked(1).ok_or_else(odd)?;
    let length = || rest.parse::<i64>().map_err(|_| odd());
    match kind {
        "+" | "-" | ":" => lines.push(rest.to_owned()),
        "$" if length()? < 0 => lines.push(String::new()),
        "$" => {
            let mut bytes = vec![0; usize::try_from(length()?).map_err(|_| odd())? + 2];
            from.read_exact(&mut bytes)?;
            lines.push(String::from_utf8_lossy(&bytes).trim_end().to_owned());
        }
        "*" => (0..length()?).try_for_each(|_| read(from, lines))?,
        _ => return Err(odd()),
    }
    Ok(())
}

/// Waits until something is so.
///
/// # Panics
///
/// If it is not within 30 s.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "it does not come to that: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
