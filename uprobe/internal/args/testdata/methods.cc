// Methods, references and classes that are passed by their address.
#include <string>

#define PROBED __attribute__((noinline, noipa))

namespace shop {

struct Base { int id = 41; virtual ~Base() {} };
struct Point { int x, y; };
struct Empty {};
enum class Kind : unsigned char { None, Some = 200 };

class Order : public Base {
public:
	int count = 7;
	std::string who = "somebody with a long name";
	PROBED long add(int n, const Point &p, Kind k);
	PROBED std::string title(int n, const char *s);
	PROBED static int fixed(Empty, int n, std::string by, int &out);
	PROBED int add(const char *s) const;
	PROBED Order &self(Point p, Point &&q) ;
};

long Order::add(int n, const Point &p, Kind k) { return count + n + p.x + int(k); }
std::string Order::title(int n, const char *s) { return std::string(s) + std::to_string(n); }
int Order::fixed(Empty, int n, std::string by, int &out) { return n + int(by.size()) + out; }
int Order::add(const char *s) const { return s[0]; }
Order &Order::self(Point p, Point &&q) { count += p.x + q.y; return *this; }

template <typename... T> PROBED int sum(T... args) { return (0 + ... + int(args)); }

} // namespace shop

int main() {
	shop::Order o;
	shop::Point p{3, -4};
	int out = 99;
	o.add(5, p, shop::Kind::Some);
	o.title(6, "shifted");
	shop::Order::fixed(shop::Empty{}, 8, "by value", out);
	o.add("const");
	o.self(p, shop::Point{1, 2});
	return shop::sum(1, 2L, char(3)) != 6;
}
