#[cfg(any(feature = "memory", all(feature = "redis", feature = "mirror", feature = "cached")))]
use std::time::Duration;

use super::*;
use crate::open::OpenOptions;

fn read(address: &str) -> Result<Address<'_>> {
    Address::read(address, &Settings::default())
}

fn fails(address: &str) -> Error {
    futures_lite::future::block_on(OpenOptions::new().open(address)).unwrap_err()
}

fn is_built_in(address: &str) -> bool {
    address.split_once(':').and_then(|(name, _)| Scheme::find(name)).is_none_or(|scheme| scheme.is_built_in)
}

#[test]
fn a_scheme_that_is_mistyped_is_shown_and_the_rest_is_not() {
    let error = read("memroy:hunter2").unwrap_err();
    assert!(error.message().starts_with("`memroy:` is no scheme that flipper knows: there is `memory:`"));
    let long = format!("{}\u{1b}[31m:", "x".repeat(1_000));
    let error = read(&long).unwrap_err();
    assert!(error.message().starts_with(&format!("`{}:`", "x".repeat(40))), "{error}");
}

#[test]
fn a_store_that_is_not_built_in_says_what_to_enable() {
    for (address, feature) in [
        ("memory:", "memory"),
        ("file:///x", "file"),
        ("redis://host", "redis"),
        ("consul://host", "consul"),
        ("postgres://host", "postgres"),
        ("s3://bucket", "aws-config"),
        ("thrift://host", "thrift"),
    ] {
        match read(address) {
            Ok(_) => assert!(is_built_in(address)),
            Err(error) => {
                assert_eq!((error.kind(), is_built_in(address)), (ErrorKind::Unsupported, false));
                assert!(
                    error.message().contains(&format!("needs the feature `{feature}` of the crate flipper"))
                );
            }
        }
    }
}

#[test]
fn wrong_addresses_say_what_to_write_and_keep_secrets() {
    for address in [
        "",
        "x",
        "hunter2",
        ":hunter2",
        "memory:hunter2",
        "memory:?hunter2",
        "memory:?timeout=hunter2",
        "file:hunter2",
        "file:",
        "file:///",
        "file:///hunter2/",
        "file://host/hunter2",
        "file:///hunter2%2",
        "file:///hunter2%zz",
        "file:///%ff",
        "file:///hunter2%00",
        "file:///x?hunter2",
        "file:///x#hunter2",
        "file:///x?mirror&last_known_good=/hunter2",
        "s3://user:hunter2@host",
    ] {
        let error = fails(address);
        let kind = if is_built_in(address) { ErrorKind::InvalidInput } else { ErrorKind::Unsupported };
        // What is not built in cannot be mirrored.
        let is_mirror = address.contains("mirror") && !cfg!(feature = "mirror");
        assert!(error.kind() == kind || is_mirror, "{address}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[cfg(feature = "memory")]
#[test]
fn parameters_are_known_right_and_there_once() {
    for (parameters, said) in [
        ("hunter2", "`memory:` does not know a parameter of this address: there is `mirror`, `cache`, `ttl`"),
        ("hunter2=1", "does not know a parameter"),
        ("=hunter2", "does not know a parameter"),
        ("Mirror", "does not know a parameter"),
        ("table=hunter2", "`memory:` has no parameter `table`: there is `mirror`"),
        ("mirror&mirror", "the parameter `mirror` is there twice"),
        ("cache=1&ttl=1&cache=1", "the parameter `cache` is there twice"),
        ("mirror=hunter2", "`mirror` is a switch: `mirror`, `mirror=true` or `mirror=false`"),
        ("mirror=tr%09ue", "`mirror` is a switch"),
        ("mirror=%zz", "`mirror` is a switch"),
        ("cache", "`cache` is a number, 0 for none: `cache=5000`"),
        ("cache=-1", "`cache` is a number"),
        ("cache=hunter2", "`cache` is a number"),
        ("cache=1#hunter2", "a `#` in the value of `cache` is written `%23`"),
        ("ttl=30", "`ttl` is for a cache: write `?cache=5000&ttl=30`"),
        ("mirror&ttl=3", "`ttl` is for a cache"),
        ("cache=0&ttl=3", "`ttl` is for a cache"),
        ("mirror&cache=5", "needs no `cache` before it"),
        ("cache=5&ttl=0", "`ttl` is a time in seconds, more than none: `ttl=1.5`"),
        ("cache=5&ttl", "`ttl` is a time in seconds"),
        ("cache=5&ttl=-1", "`ttl` is a time in seconds"),
        ("cache=5&ttl=inf", "`ttl` is a time in seconds"),
        ("cache=5&ttl=NaN", "`ttl` is a time in seconds"),
        ("cache=5&ttl=hunter2", "`ttl` is a time in seconds"),
    ] {
        let error = fails(&format!("memory:?{parameters}"));
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{parameters}");
        assert!(error.message().contains(said), "{parameters}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[cfg(all(feature = "redis", feature = "mirror", feature = "cached"))]
#[test]
fn parameters_become_settings_and_the_rest_is_left_to_the_store() {
    let address = read("unix:///s?db=1&mirror&timeout=0.25&pass=a%26b&last_known_good=/a%20b").unwrap();
    assert_eq!(address.for_store(), "unix:///s?db=1&pass=a%26b");
    let settings = &address.settings;
    assert_eq!((settings.mirror, settings.timeout), (Some(true), Some(Duration::from_millis(250))));
    assert_eq!(settings.last_known_good.as_deref(), Some(std::path::Path::new("/a b")));
    assert!(settings.starts_without_server());

    assert_eq!(
        read("redis://me:p@host/1?base_key=a%2Fb&replicas=2").unwrap().for_store(),
        "redis://me:p@host/1"
    );
    assert_eq!(read("redis://host?").unwrap().for_store(), "redis://host");
    let year = read("redis://host?timeout=1e300");
    assert!(year.is_err(), "it is more than a duration can hold");
    let year = read("redis://host?timeout=1e15").unwrap();
    assert_eq!(year.settings.timeout, Some(Duration::from_hours(365 * 24)));
    for wrong in [
        "base_key=",
        "base_key",
        "base_key=a%00",
        "replicas=0",
        "replica_timeout=1",
        "last_known_good=/x",
        "start_timeout=3",
        "mirror&last_known_good=relative",
        "mirror&start_timeout=0",
        "db=1",
    ] {
        assert_eq!(
            read(&format!("redis://host?{wrong}")).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{wrong}"
        );
    }
}

#[cfg(all(feature = "redis", feature = "mirror", feature = "cached"))]
#[test]
fn the_address_counts_more_than_the_code() {
    let mirrored = OpenOptions::new().mirror().timeout(Duration::from_secs(9)).base_key("code");
    let cached = OpenOptions::new().cache(7).ttl(Duration::from_secs(7));
    let of = |options: &OpenOptions, parameters: &str| {
        let address = format!("redis://host{parameters}");
        let settings = Address::read(&address, options.settings()).unwrap().settings;
        let cache = settings
            .is_cached()
            .then_some((settings.cache.unwrap_or(0), settings.ttl.unwrap_or_default().as_secs()));
        (settings.is_mirrored(), cache)
    };
    assert_eq!(of(&mirrored, ""), (true, None));
    assert_eq!(of(&mirrored, "?mirror"), (true, None));
    assert_eq!(of(&mirrored, "?mirror=false"), (false, None));
    assert_eq!(of(&mirrored, "?cache=3"), (false, Some((3, 0))));
    assert_eq!(of(&mirrored, "?cache=0"), (true, None));
    assert_eq!(of(&cached, ""), (false, Some((7, 7))));
    assert_eq!(of(&cached, "?ttl=3"), (false, Some((7, 3))));
    assert_eq!(of(&cached, "?cache=3"), (false, Some((3, 7))));
    assert_eq!(of(&cached, "?cache=0"), (false, None));
    assert_eq!(of(&cached, "?mirror"), (true, None));
    assert_eq!(of(&cached.clone().mirror(), ""), (true, None));
    assert_eq!(of(&mirrored.clone().cache(2), ""), (false, Some((2, 0))));

    let address = "redis://host?timeout=1&base_key=address";
    let settings = Address::read(address, mirrored.settings()).unwrap().settings;
    assert_eq!(
        (settings.timeout, settings.base_key.as_deref()),
        (Some(Duration::from_secs(1)), Some("address"))
    );
    let settings = Address::read("redis://host", mirrored.settings()).unwrap().settings;
    assert_eq!(
        (settings.timeout, settings.base_key.as_deref()),
        (Some(Duration::from_secs(9)), Some("code"))
    );
}

#[cfg(all(feature = "memory", not(feature = "mirror")))]
#[test]
fn a_wrapper_that_is_not_built_in_says_what_to_enable() {
    let error = fails("memory:?mirror");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("feature `mirror`"), "{error}");
}

#[cfg(any(
    feature = "redis",
    feature = "consul",
    feature = "postgres",
    feature = "thrift",
    feature = "aws-config"
))]
#[test]
fn stores_behind_a_network_say_that_they_need_a_runtime() {
    for address in [
        "redis://h",
        "unix:///s?mirror&last_known_good=/x",
        "consul://h",
        "postgres://h",
        "s3://b",
        "thrift://h",
    ] {
        if is_built_in(address) && (cfg!(feature = "mirror") || !address.contains("mirror")) {
            let error = fails(address);
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.message().contains("Tokio runtime"), "{error}");
        }
    }
}

#[cfg(feature = "memory")]
#[test]
fn settings_that_a_store_does_not_have_are_left_out() {
    let options = OpenOptions::new().base_key("x").table("x").create_table().timeout(Duration::MAX);
    let options = options.connect_timeout(Duration::MAX).poll_interval(Duration::ZERO).last_known_good("x");
    futures_lite::future::block_on(options.start_timeout(Duration::ZERO).open("memory:")).unwrap();
}

#[test]
fn what_opens_can_be_sent_to_another_thread() {
    fn is_send(_: impl Send) {}
    let options = OpenOptions::new();
    is_send(options.open("memory:"));
    is_send(options.open_store("memory:"));
    is_send(crate::open("memory:"));
}

proptest::proptest! {
    /// Without a runtime, nothing is connected to: what is wrong with the address is told, or that a runtime is needed.
    #[test]
    fn errors_repeat_nothing_but_names_that_are_known(
        scheme in proptest::sample::select(vec![
            "memory", "redis", "rediss", "unix", "consul", "consul+https", "postgres", "s3", "thrift", "mysql",
        ]),
        before in "(//)?([a-z]{0,2}:)?[@:/?#%]{0,2}",
        after in "[@:/?#%&=]{0,2}(host)?(:1)?(/[a-z]{0,2})?([?](mirror|base_key=|timeout=|pass=|x=|&|%){0,3})?",
        is_last in proptest::bool::ANY,
    ) {
        let secret = "QZJX";
        let address = if is_last { format!("{scheme}:{before}{after}{secret}") } else { format!("{scheme}:{before}{secret}{after}") };
        if let Err(error) = futures_lite::future::block_on(OpenOptions::new().open(&address)) {
            let shown = format!("{error} {error:?}").to_uppercase();
            proptest::prop_assert!(!shown.contains(secret), "{shown}");
        }
    }
}
