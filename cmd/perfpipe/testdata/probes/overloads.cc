/* Overloads, templates, methods and references, each with known values. */
#include <string>
#define PROBED __attribute__((noinline, noclone))
namespace shop {
struct Point { int x; long y; };
struct Order {
  int id; int count; std::string who;
  PROBED int add(int n) { asm volatile(""); count += n; return count; }
  PROBED int add(int n, const Point &p) { asm volatile(""); return n + p.x; }
  PROBED int add(const char *s) const { asm volatile(""::"r"(s)); return id; }
};
PROBED int area(int a) { asm volatile(""); return a; }
PROBED int area(double a) { asm volatile(""); return (int)a; }
PROBED int area(Point p) { asm volatile(""); return p.x; }
template <typename T> PROBED T twice(T v) { asm volatile(""); return v + v; }
PROBED int byref(int &n, const std::string &s) { asm volatile(""::"r"(&n)); return n + s.size(); }
}
using namespace shop;
int main() {
  Order o{41, 7, "somebody"};
  Point p{3, -4};
  o.add(5); o.add(6, p); o.add("word");
  area(1); area(2.5); area(p);
  int n = 10;
  byref(n, o.who);
  return twice(3) + (int)twice(4UL) + (int)twice(1.5) == 0;
}
