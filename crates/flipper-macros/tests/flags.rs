//! Flags that are declared by the derive.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use flipper::{
    AsFlag, Date, ErrorKind, FeatureFlagClient, FileStore, Flags, LocalFlag, MemoryStore, Reason, Timestamp,
    ctx,
};
use futures_lite::future::block_on;

#[derive(Flags, Clone, Copy, Debug, PartialEq)]
enum Feature {
    /// The checkout on one page.
    ///
    /// With express payment.
    #[flag(name = "CHECKOUT", owner = "payments", expires = "2027-01-31")]
    Checkout,
    #[flag(name = "new rates/ü", default = true)]
    #[doc = " Rates."]
    NewRates,
    #[flag(name = "SALE", default = false)]
    Sale,
}

/// For those who have no `flipper`.
mod core_alone {
    #[derive(flipper::Flags, Clone, Copy, Debug, PartialEq)]
    #[flags(crate = flipper_core)]
    pub(super) enum Other {
        #[flag(name = "OTHER", expires = "2000-02-29")]
        Other,
        #[flag(name = "SALE", default = true)]
        Sale,
    }
}

use core_alone::Other;

fn client() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryStore::new())
}

#[test]
fn what_is_declared_is_what_is_known() {
    assert_eq!(Feature::ALL, [Feature::Checkout, Feature::NewRates, Feature::Sale]);
    let checkout = Feature::Checkout.definition();
    assert_eq!(checkout.name(), "CHECKOUT");
    assert_eq!(checkout.owner(), Some("payments"));
    assert_eq!(checkout.expiry(), Date::new(2027, 1, 31));
    assert_eq!(checkout.description(), "The checkout on one page.\n\nWith express payment.");
    assert!(!checkout.default_value());

    let rates = Feature::NewRates.definition();
    assert_eq!((rates.name(), rates.owner(), rates.expiry()), ("new rates/ü", None, None));
    assert_eq!(rates.description(), "Rates.");
    assert!(rates.default_value());

    assert_eq!(Feature::from_name("SALE"), Some(Feature::Sale));
    assert_eq!(Feature::from_name("sale"), None);
}

#[derive(Flags, Clone, Copy)]
enum Documented {
    #[flag(name = "A")]
    #[doc = include_str!("description.txt")]
    InAFile,
    /// First,
    ///   then
    #[doc = concat!("all ", 3)]
    #[doc(alias = "none")]
    #[flag(name = "B")]
    InPieces,
    #[flag(name = "C")]
    Not,
}

#[test]
fn descriptions_are_what_the_documentation_is_made_of() {
    assert_eq!(Documented::InAFile.definition().description(), "From a file,\n  with two lines.");
    assert_eq!(Documented::InPieces.definition().description(), "First,\n  then\nall 3");
    assert_eq!(Documented::Not.definition().description(), "");
}

#[test]
fn defaults_count_wherever_a_flag_is_asked() {
    block_on(async {
        let client = client();
        let local = client.local().unwrap();
        for flag in Feature::ALL {
            let default = flag.default_value();
            assert_eq!(default, *flag == Feature::NewRates);
            assert_eq!(flag.is_enabled(&client, &ctx! {}).await, default);
            assert_eq!(flag.is_enabled_local(&local, &ctx! {}), default);
            assert_eq!(flag.local(&local).is_enabled(&ctx! {}), default);
            let evaluation = flag.evaluate(&client, &ctx! {}).await.unwrap();
            assert_eq!((evaluation.value, evaluation.reason), (default, Reason::NotFound));
            assert_eq!(flag.flag_default(), default);
        }
    });
}

#[test]
fn a_flag_that_is_there_answers_in_the_place_of_its_default() {
    block_on(async {
        let client = client();
        let local = client.local().unwrap();
        let handle: LocalFlag = Feature::NewRates.local(&local);
        assert!(handle.is_enabled(&ctx! {}));
        client.create("new rates/ü").await.unwrap();
        assert!(!handle.is_enabled(&ctx! {}));
        assert!(!handle.clone().is_enabled(&ctx! {}));
        assert!(!Feature::NewRates.is_enabled(&client, &ctx! {}).await);
        Feature::NewRates.get(&client).enable().await.unwrap();
        assert!(Feature::NewRates.is_enabled_local(&local, &ctx! {}));
    });
}

#[test]
fn creating_what_is_missing_changes_no_answer() {
    block_on(async {
        let client = client();
        client.create("SALE").await.unwrap().enable().await.unwrap();
        assert_eq!(Feature::create_missing(&client).await.unwrap(), [Feature::Checkout, Feature::NewRates]);
        assert_eq!(Feature::create_missing(&client).await.unwrap(), []);
        assert!(!Feature::Checkout.is_enabled(&client, &ctx! {}).await);
        assert!(Feature::NewRates.is_enabled(&client, &ctx! {}).await);
        assert!(Feature::Sale.is_enabled(&client, &ctx! {}).await, "it stays as it was");
    });
}

#[test]
fn programs_that_create_what_is_missing_at_once_create_each_flag_once_and_overwrite_nothing() {
    let path = std::env::temp_dir().join(format!("flags-missing-{}.json", std::process::id()));
    let clients: Vec<_> = (0..8).map(|_| FeatureFlagClient::new(FileStore::open(&path).unwrap())).collect();
    let start = std::sync::Barrier::new(clients.len());
    let create = |client: &FeatureFlagClient| {
        start.wait();
        block_on(async {
            let created = Feature::create_missing(client).await.unwrap();
            // Whoever is later must leave this alone.
            for flag in &created {
                flag.get(client).enable().await.unwrap();
            }
            created
        })
    };
    let created: Vec<_> = std::thread::scope(|threads| {
        let threads: Vec<_> = clients.iter().map(|client| threads.spawn(|| create(client))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(created.len(), Feature::ALL.len(), "{created:?}");
    assert!(Feature::ALL.iter().all(|flag| created.contains(flag)), "{created:?}");
    let client = FeatureFlagClient::new(FileStore::open(&path).unwrap());
    assert!(Feature::ALL.iter().all(|flag| block_on(flag.is_enabled(&client, &ctx! {}))));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn verify_of_a_large_store_finds_the_few_flags_that_matter() {
    block_on(async {
        let client = client();
        for number in 0..100_000 {
            client.create(&format!("OTHER_{number:06}")).await.unwrap();
        }
        Feature::create_missing(&client).await.unwrap();
        client.destroy("SALE").await.unwrap();
        let found = Feature::verify(&client).prefix("OTHER_09999").await.unwrap();
        assert_eq!(found.missing, [Feature::Sale.definition()]);
        assert_eq!(found.unknown.len(), 10);
        assert_eq!(Feature::verify(&client).await.unwrap().unknown.len(), 100_000);
    });
}

#[test]
fn verify_finds_what_is_missing_unknown_expired_and_declared_twice() {
    block_on(async {
        let client = client();
        for name in ["SALE", "SHOP_OLD", "BLOG"] {
            client.create(name).await.unwrap();
        }
        let names = |found: &[&'static flipper::FlagDefinition]| {
            found.iter().map(|flag| flag.name()).collect::<Vec<_>>()
        };

        let last_day = Date::new(2027, 1, 31).unwrap().end();
        let found =
            Feature::verify(&client).at(Timestamp::from_micros(last_day.as_micros() - 1)).await.unwrap();
        assert_eq!(names(&found.missing), ["CHECKOUT", "new rates/ü"]);
        assert_eq!(found.unknown, ["BLOG", "SHOP_OLD"]);
        assert_eq!(names(&found.expired), Vec::<&str>::new());

        let found = Feature::verify(&client).and::<Other>().prefix("SHOP_").at(last_day).await.unwrap();
        assert_eq!(names(&found.missing), ["CHECKOUT", "new rates/ü", "OTHER"]);
        assert_eq!(found.unknown, ["SHOP_OLD"]);
        assert_eq!(names(&found.expired), ["CHECKOUT", "OTHER"]);
        assert_eq!(names(&found.declared_twice), ["SALE"]);
        let text = found.to_string();
        for line in [
            "missing: \"CHECKOUT\" is not in the store, and off by default (owner: payments)",
            "missing: \"new rates/ü\" is not in the store, and on by default",
            "expired: \"OTHER\" was to be gone after 2000-02-29",
            "declared twice: \"SALE\" is declared in several places of the code",
            "unknown: \"SHOP_OLD\" is in the store, and not in the code",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
        }

        Feature::create_missing(&client).await.unwrap();
        let found = Feature::verify(&client).prefix("NONE_").at(Timestamp::from_secs(0)).await.unwrap();
        assert!(found.is_empty(), "{found}");
    });
}

#[test]
fn verify_asks_the_clock_of_the_client() {
    let at = |time| {
        let client = FeatureFlagClient::builder(MemoryStore::new()).clock(move || time).build();
        block_on(Feature::verify(&client).into_future()).unwrap().expired.len()
    };
    assert_eq!(at(Timestamp::from_secs(1_700_000_000)), 0);
    assert_eq!(at(Timestamp::from_secs(1_900_000_000)), 1);
}

#[test]
fn records_that_cannot_be_read_are_told_and_are_not_missing() {
    let path = std::env::temp_dir().join(format!("flags-verify-{}.json", std::process::id()));
    std::fs::write(&path, r#"{"SALE": 7, "SHOP_BROKEN": 7, "BLOG_BROKEN": 7}"#).unwrap();
    block_on(async {
        let client = FeatureFlagClient::new(FileStore::open(&path).unwrap());
        let found = Feature::verify(&client).prefix("SHOP_").at(Timestamp::from_secs(0)).await.unwrap();
        assert_eq!(found.unreadable, ["SALE", "SHOP_BROKEN"]);
        assert_eq!(found.unknown, ["SHOP_BROKEN"]);
        assert!(found.missing.iter().all(|flag| flag.name() != "SALE"), "{found}");
        assert!(found.to_string().contains("unreadable: the record of \"SALE\" cannot be read\n"), "{found}");
        // What cannot be read is left for somebody to look at.
        assert!(!Feature::create_missing(&client).await.unwrap().contains(&Feature::Sale));
    });
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_store_that_cannot_be_listed_is_an_error() {
    block_on(async {
        let client = client();
        client.close().await.unwrap();
        let error = Feature::verify(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.operation(), Some("verify"));
    });
}

#[test]
fn a_store_of_which_nothing_can_be_read_is_an_error_and_no_store_without_flags() {
    let path = std::env::temp_dir().join(format!("flags-verify-spoilt-{}.json", std::process::id()));
    std::fs::write(&path, r#"{"SALE": {"is_enabled": true}}"#).unwrap();
    let client = FeatureFlagClient::new(FileStore::open(&path).unwrap());
    std::fs::write(&path, r#"{"SALE": {"is_enabled": true"#).unwrap();
    let found = block_on(async { Feature::verify(&client).await });
    let error = found.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Corrupt, Some("verify")), "{error}");
    // Nor is every flag there, or has it all flags already.
    assert_eq!(block_on(client.exists("NOPE")).unwrap_err().kind(), ErrorKind::Corrupt);
    let error = block_on(Feature::create_missing(&client)).unwrap_err();
    assert_eq!((error.kind(), error.flag()), (ErrorKind::Corrupt, Some("CHECKOUT")), "{error}");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_flag_is_named_by_what_is_at_hand() {
    fn name(flag: &impl AsFlag) -> (String, bool) {
        (flag.flag_name().to_owned(), flag.flag_default())
    }
    let owned = String::from("A");
    assert_eq!(name(&"A"), ("A".to_owned(), false));
    assert_eq!(name(&&owned), name(&owned));
    assert_eq!(name(&Feature::NewRates), ("new rates/ü".to_owned(), true));
}
