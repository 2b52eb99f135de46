//! The program finds libraries that lie beside it: where it is sent into a container, which may have
//! none of them, they come with it (`cluster/src/remote/docker/bundle.rs`).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bins=-Wl,-rpath,$ORIGIN");
}
