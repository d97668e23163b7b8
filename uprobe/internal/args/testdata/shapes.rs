// Functions with Rust's own convention, of every shape, with known values.
pub struct Pair { pub x: i32, pub y: i64 }
pub struct Big { pub a: u64, pub b: u64, pub c: u64 }
pub enum Kind { One = 1, Two = 2 }
#[inline(never)] #[no_mangle] pub fn handle(s: &str, n: u32, p: &Pair, ok: bool, v: &[u8]) -> u64 { std::hint::black_box((s, n, p.x, p.y, ok, v.len())); n as u64 }
#[inline(never)] #[no_mangle] pub fn byval(p: Pair, b: Big, o: Option<u32>, k: Kind, last: u8) -> u64 { std::hint::black_box((p.x, p.y, b.a, b.b, b.c, o)); last as u64 + k as u64 }
#[inline(never)] #[no_mangle] pub fn owned(s: String, x: Box<Pair>, c: char, f: f64, g: i16) -> String { std::hint::black_box((x.x, c, f, g)); s }
pub struct Two { pub a: u32, pub b: u32 }
#[inline(never)] #[no_mangle] pub fn two(t: Two, s: &mut Two, last: u32) -> Two { s.a += std::hint::black_box(t.b); Two { a: last, b: t.a } }
fn main() {
 let r = two(Two { a: 31, b: 32 }, &mut Two { a: 33, b: 34 }, 35);
 println!("{} {}", r.a, r.b);
 let p = Pair { x: -3, y: 44 };
 println!("{}", handle("hello", 9, &p, true, &[1,2,3]));
 println!("{}", byval(Pair{x:1,y:2}, Big{a:5,b:6,c:7}, Some(3), Kind::Two, 200));
 println!("{}", owned("own".to_string(), Box::new(Pair{x:8,y:9}), 'z', 1.5, -2));
}
