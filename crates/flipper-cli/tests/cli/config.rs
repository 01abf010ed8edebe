//! Where the store and the actor come from.

use std::fs;

use crate::support::User;

#[test]
fn without_a_store_flags_are_in_the_users_data_directory() {
    let user = User::at("");
    user.done("create X");
    assert!(user.file(".local/share/flipper/flags.json").is_file());
    let elsewhere = User::at("").with("XDG_DATA_HOME", user.file("data").to_str().unwrap());
    elsewhere.done("create Y");
    assert!(user.file("data/flipper/flags.json").is_file());
}

#[test]
fn the_configuration_names_stores_and_the_actor() {
    let user = User::at("");
    let place = user.file(".config/flipper/config.toml");
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    let store = |name: &str| format!("file://{}", user.file(name).display());
    let text = format!(
        "store = \"one\"\nactor = \"alice\"\n[stores]\none = \"{}\"\ntwo = \"{}\"",
        store("1.json"),
        store("2.json")
    );
    fs::write(&place, text).unwrap();
    assert_eq!(user.done("create X"), "X: created, off (by alice)\n");
    assert!(user.file("1.json").is_file());
    assert_eq!(user.done("--store two create Y --actor bob"), "Y: created, off (by bob)\n");
    assert_eq!(user.done("list --store 2.json"), "Y  off\n");
    assert_eq!(user.flipper("diff one two").code, 3);
    let unknown = user.flipper("list --store three").with_code(1);
    assert!(
        unknown.complaint().contains("`three` is no store") && unknown.err.contains("`one`, `two`"),
        "{unknown:?}"
    );
}

#[test]
fn a_mistake_in_the_configuration_is_one_line_with_its_place() {
    let user = User::new();
    let path = user.file("wrong.toml");
    fs::write(&path, "store = \"redis://me:hunter2@host\"\nstroe = 5\n").unwrap();
    let ran = user.run(&["list", "--config", path.to_str().unwrap()]).with_code(1);
    assert!(ran.complaint().contains("unknown field `stroe`") && ran.err.contains("line 2"), "{ran:?}");
    assert!(!ran.err.contains("hunter2"));
    let ran = user.run(&["list", "--config", "/nonexistent/config.toml"]).with_code(1);
    assert!(ran.complaint().contains("/nonexistent/config.toml"), "{ran:?}");
}

#[test]
fn a_name_of_the_configuration_may_stand_for_the_path_of_a_file() {
    let user = User::at("");
    let path = user.file("1.json");
    let text = format!("[stores]\nfile = \"{}\"\nname = \"file\"", path.display());
    fs::write(user.file("config.toml"), text).unwrap();
    let user = user.with("FLIPPER_CONFIG", "config.toml");
    user.done("--store file create X");
    assert!(path.is_file());
    assert!(user.flipper("--store file export 1.json").with_code(1).err.contains("is the store itself"));
    let ran = user.flipper("--store name list").with_code(1);
    assert!(ran.complaint().contains("`file` is no store"), "{ran:?}");
}

#[test]
fn an_empty_store_is_not_that_of_the_user() {
    let user = User::at("");
    // As a script has it whose variable is not set.
    let ran = user.run(&["--store", "", "create", "X"]).with_code(2);
    assert!(ran.err.contains("`--store` is empty"), "{ran:?}");
    assert_eq!(user.with("FLIPPER_STORE", "").done("list"), "");
}

#[test]
fn a_wrong_usage_repeats_no_secret() {
    let user = User::new();
    for arguments in ["redis://me:hunter2@host list", "copy redis://me:hunter2@a redis://me:hunter2@b x"] {
        let ran = user.flipper(arguments).with_code(2);
        assert!(ran.out.is_empty() && !ran.err.is_empty() && !ran.err.contains("hunter2"), "{ran:?}");
    }
}
