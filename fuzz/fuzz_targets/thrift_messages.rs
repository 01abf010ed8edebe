#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flipper_tests::fuzz::thrift_messages(data));
