//! How many of so many users get a flag.

use std::fs;

use serde_json::Value;

use crate::support::User;

fn with_ramp() -> User {
    let user = User::new();
    user.done("create X --enable");
    user.done("bucket ramp X --from 20% --to 80% --duration 30m --start @1700000000 --by user_id");
    user
}

fn on(user: &User, arguments: &str) -> Vec<u64> {
    let json: Value = serde_json::from_str(&user.done(&format!("simulate X --json {arguments}"))).unwrap();
    json["points"].as_array().unwrap().iter().map(|point| point["on"].as_u64().unwrap()).collect()
}

#[test]
fn users_are_counted_now_and_over_the_ramp() {
    let user = with_ramp();
    let counts = on(&user, "--key user_id --count 10000 --points 5 --at @1700000900");
    // Now, and at 20, 35, 50, 65 and 80 %, each with one bucket more.
    for (counted, percent) in counts.iter().zip([51.0, 21.0, 36.0, 51.0, 66.0, 81.0]) {
        assert!((*counted as f64 / 100.0 - percent).abs() < 2.0, "{counts:?}");
    }
    assert_eq!(counts[0], counts[3]);
    assert_eq!(
        counts,
        on(&user, "--key user_id --count 10000 --points 5 --at @1700000900"),
        "the same again"
    );
    let out = user.done("simulate X --key user_id --points 5");
    assert!(out.contains("now, ") && out.contains("over the ramp:") && out.contains("|####"), "{out}");
    // Without the attribute that is hashed, all are in one bucket.
    assert_eq!(on(&user, "--key other --count 10 --points 2 --at @1700000000"), [0, 0, 10]);
}

#[test]
fn users_come_from_a_file_too() {
    let user = with_ramp();
    fs::write(user.file("users"), "7\n\n\"7\"\n8\n").unwrap();
    let json: Value =
        serde_json::from_str(&user.done("simulate X --key user_id --keys users --json")).unwrap();
    assert_eq!(json["count"], 3);
    assert_eq!(
        user.flipper("simulate X --key user_id --keys nothing")
            .with_code(1)
            .complaint()
            .matches("nothing")
            .count(),
        1
    );
}

#[test]
fn shares_of_the_checks_are_drawn_alike_each_time() {
    let user = User::new();
    user.done("create X --enable");
    user.done("bucket percentage X 30%");
    let counts = on(&user, "--key a --count 10000");
    assert!(counts.len() == 1 && (2_800..3_200).contains(&counts[0]), "{counts:?}");
    assert_eq!(counts, on(&user, "--key a --count 10000"));
}

#[test]
fn a_plot_is_drawn_as_svg_and_png() {
    let user = with_ramp();
    user.done("simulate X --key user_id --out ramp.svg");
    let svg = fs::read_to_string(user.file("ramp.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("X: who gets it, of 10000 values of user_id"), "{svg}");
    user.done("simulate X --key user_id --out ramp.png");
    let png = fs::read(user.file("ramp.png")).unwrap();
    let decoder = png::Decoder::new(std::io::Cursor::new(png));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (960, 540));
    // Texts are black, and so many black pixels are no lines alone.
    let black = pixels.chunks(3).filter(|pixel| pixel.iter().all(|part| *part < 64)).count();
    assert!(black > 2_000, "{black}");
    let wrong = user.flipper("simulate X --key user_id --out ramp.gif").with_code(1);
    assert!(wrong.complaint().contains("ends in `.svg` or `.png`"), "{wrong:?}");
}

#[test]
fn a_drawing_is_wellformed_whatever_the_key_is() {
    let user = with_ramp();
    user.run(&["simulate", "X", "--key", "a\u{1b}[31m</text>\n&", "--count", "5", "--out", "x.svg"])
        .with_code(0);
    let text = fs::read_to_string(user.file("x.svg")).unwrap();
    assert!(text.contains("a\\u{1b}[31m&lt;/text&gt;\\n&amp;"), "{text}");
    assert!(!text.contains('\u{1b}'));
}
