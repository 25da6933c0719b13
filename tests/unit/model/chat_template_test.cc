#include "model/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/clock.h"

namespace moesaic::model {
namespace {

using ::testing::HasSubstr;

const nlohmann::ordered_json& Inputs() {
  static const auto& inputs = *new nlohmann::ordered_json(nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}],
    "text": "Grüße, Welt", "n": 7, "x": 2.5, "yes": true, "nothing": null,
    "list": [3, 1, 2], "words": ["b", "A", "c"],
    "dict": {"z": 1, "a": {"k": "v"}},
    "people": [{"name": "Ann", "age": 3}, {"name": "Bob", "age": 1}, {"name": "Cy"}],
    "tree": [{"n": 1, "c": [{"n": 2, "c": []}]}, {"n": 3, "c": []}]
  })"));
  return inputs;
}

absl::StatusOr<std::string> Render(const std::string& source, const RenderOptions& options = {}) {
  const auto compiled = ChatTemplate::Compile(source);
  if (!compiled.ok()) return compiled.status();
  return compiled->Render(Inputs(), options);
}

struct Case {
  const char* source;
  const char* expected;
};

template <std::size_t kCount>
void ExpectAll(const Case (&cases)[kCount]) {
  for (const Case& c : cases) {
    const auto rendered = Render(c.source);
    ASSERT_TRUE(rendered.ok()) << c.source << ": " << rendered.status();
    EXPECT_EQ(*rendered, c.expected) << c.source;
  }
}

// The expectations were computed with jinja2 3.1.6.

TEST(ChatTemplate, Values) {
  const Case cases[] = {
      {"{{ yes }} {{ nothing }} {{ x }} {{ missing }}|", "True None 2.5 |"},
      {"{{ 1.0 }} {{ 1e16 }} {{ 1e-5 }} {{ 100000.0 }} {{ 0.1 + 0.2 }}",
       "1.0 1e+16 1e-05 100000.0 0.30000000000000004"},
      {"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 2 ** 10 }}",
       "3 -4 2 3.5 3.0 1024"},
      {"{{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 2 ** -1 }}", "3.0 0.5 0.5"},
      {"{{ 'a' ~ 1 ~ none ~ 2.0 }} {{ 'ab' * 3 }} {{ [1] + [2] }}", "a1None2.0 ababab [1, 2]"},
      {"{{ [1, 'a\\'b', \"q\", none, 1.5] }}", "[1, \"a'b\", 'q', None, 1.5]"},
      {"{{ {'a': [true], 2: 'x'} }} {{ (1,) }} {{ (1, 2) }}", "{'a': [True], 2: 'x'} (1,) (1, 2)"},
      {"{{ 'a\\n\\t\\x41\\u00e9\\\\' }}", "a\n\tA\u00e9\\"},
      {"{{ 'con' 'cat' }}", "concat"},
      {"{{ true + 1 }} {{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' == 1 }}", "2 True True False"},
      {"{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }}",
       "True False True True"},
      {"{{ 'el' in 'hello' }} {{ 'z' in dict }} {{ 5 not in list }} {{ 1 in missing }}",
       "True True True False"},
      {"{{ not missing }} {{ nothing or 'd' }} {{ '' and 1 }}|{{ 0 or [] }}", "True d |[]"},
      {"{{ 'y' if yes else 'n' }}{{ 'y' if nothing }}|", "y|"},
      {"{{ -n }} {{ +n }} {{ - 2 ** 2 }}", "-7 7 4"},
      {"{{ 1_000 }} {{ 'x' if not (n == 7) else 'z' }}", "1000 z"},
  };
  ExpectAll(cases);
}

TEST(ChatTemplate, AccessAndSlices) {
  const Case cases[] = {
      {"{{ messages[0].content }}{{ messages[-1]['role'] }}", "Hiassistant"},
      {"{{ dict.a.k }} {{ dict['a']['k'] }} {{ dict.nope }}|", "v v |"},
      {"{{ messages[::-1][0].content }} {{ list[1:] }} {{ list[:-1] }} {{ text[0:2] }}",
       "Yo [1, 2] [3, 1] Gr"},
      {"{{ text[2] }}{{ text[-1] }} {{ text[::-1] }}", "üt tleW ,eßürG"},
      {"{{ list[5] }}|{{ list.0 }}|{{ list[-4:2] }}|{{ list[2:0:-1] }}", "|3|[3, 1]|[2, 1]"},
      {"{% for k, v in dict.items() %}{{ k }}={{ v }};{% endfor %}", "z=1;a={'k': 'v'};"},
      {"{{ dict.get('z') }} {{ dict.get('q') }} {{ dict.get('q', 5) }} {{ dict.keys()|list }}",
       "1 None 5 ['z', 'a']"},
  };
  ExpectAll(cases);
}

TEST(ChatTemplate, Statements) {
  const Case cases[] = {
      {"{% for m in messages %}{{ loop.index }}/{{ loop.length }}{{ loop.first }}{{ loop.last }} "
       "{% endfor %}",
       "1/2TrueFalse 2/2FalseTrue "},
      {"{% for i in [] %}x{% else %}empty{% endfor %}", "empty"},
      {"{% for i in list if i > 1 %}{{ i }}{{ loop.index0 }}{{ loop.revindex }},{% endfor %}",
       "302,211,"},
      {"{% for i in range(5) %}{% if i == 1 %}{% continue %}{% elif i == 3 %}{% break %}"
       "{% endif %}{{ i }}{% endfor %}",
       "02"},
      {"{% for c in 'aé' %}{{ c }}-{% endfor %}", "a-é-"},
      {"{% for i in list %}{{ loop.previtem }}<{{ loop.nextitem }} {{ loop.cycle('o', 'e') }} "
       "{% endfor %}",
       "<1 o 3<2 e 1< o "},
      {"{% for i in [1, 1, 2] %}{{ loop.changed(i) }} {% endfor %}", "True False True "},
      {"{% for t in tree recursive %}{{ t.n }}@{{ loop.depth }}({{ loop(t.c) }}){% endfor %}",
       "1@1(2@2())3@1()"},
      {"{% set a = 1 %}{% for i in [1] %}{% set a = 2 %}{{ a }}{% endfor %}{{ a }}", "21"},
      {"{% set ns = namespace(c=0) %}{% for i in list %}{% set ns.c = ns.c + i %}{% endfor %}"
       "{{ ns.c }}",
       "6"},
      {"{% if yes %}{% set b = 1 %}{% endif %}{{ b }}", "1"},
      {"{% set a, b = 1, 2 %}{{ b }}{{ a }}", "21"},
      {"{% set t %}in {{ n }}{% endset %}[{{ t }}]", "[in 7]"},
      {"{% set t | upper %}abc{% endset %}{{ t }}", "ABC"},
      {"{% macro m(a, b='B') %}{{ a }}{{ b }}{% endmacro %}{{ m('x') }}{{ m('x', b='y') }}",
       "xBxy"},
      {"{% macro m() %}[{{ caller(1) }}]{% endmacro %}{% call(v) m() %}c{{ v }}{% endcall %}",
       "[c1]"},
      {"{% filter upper | trim %} abc {% endfilter %}", "ABC"},
      {"{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}", "3"},
      {"{% generation %}x{% endgeneration %}", "x"},
      {"{% raw %}{{ x }}{% endraw %}", "{{ x }}"},
      {"{# comment #}a", "a"},
  };
  ExpectAll(cases);
}

TEST(ChatTemplate, WhiteSpaceControl) {
  const Case cases[] = {
      {"a\n{% if yes %}\nb\n{% endif %}\nc\n", "a\nb\nc"},
      {"a\n   {% if yes %}b{% endif %}\n", "a\nb"},
      {"a {{- n -}} b", "a7b"},
      {"a {%- if yes -%} b {%- endif %} c", "ab c"},
      {"  {%+ if yes %}x{% endif %}", "  x"},
      {"{% if yes +%}\nx{% endif %}", "\nx"},
      {"a\n  {# c #}\nb", "a\nb"},
      {"x  {{ n }}\n\n", "x  7\n"},
      {"a\r\nb\rc", "a\nb\nc"},
      {"{{ {'a': {'b': 1}}}}", "{'a': {'b': 1}}"},
      {"{{ '}}' }}", "}}"},
  };
  ExpectAll(cases);
}

TEST(ChatTemplate, Filters) {
  const Case cases[] = {
      {"{{ list|length }} {{ text|length }} {{ dict|count }}", "3 11 2"},
      {"{{ missing|default('d') }} {{ ''|default('e', true) }} {{ nothing|d('f') }}", "d e None"},
      {"{{ dict|tojson }}", "{\"z\": 1, \"a\": {\"k\": \"v\"}}"},
      {"{{ text|tojson }} {{ '<&>'|tojson }} {{ 'a\\n\"\\\\'|tojson }}",
       "\"Grüße, Welt\" \"<&>\" \"a\\n\\\"\\\\\""},
      {"{{ text|tojson(ensure_ascii=true) }}", "\"Gr\\u00fc\\u00dfe, Welt\""},
      {"{{ dict|tojson(indent=2) }}", "{\n  \"z\": 1,\n  \"a\": {\n    \"k\": \"v\"\n  }\n}"},
      {"{{ [1.0, none, true]|tojson(separators=(',', ':')) }} {{ []|tojson }}",
       "[1.0,null,true] []"},
      {"{{ {'b': 1, 'a': 2}|tojson(sort_keys=true) }}", "{\"a\": 2, \"b\": 1}"},
      {"{{ ' x '|trim }}|{{ 'xax'|trim('x') }}", "x|a"},
      {"{{ words|join(', ') }} {{ list|join }} {{ people|join('/', attribute='name') }}",
       "b, A, c 312 Ann/Bob/Cy"},
      {"{{ people|map(attribute='name')|list }} {{ words|map('upper')|join }}",
       "['Ann', 'Bob', 'Cy'] BAC"},
      {"{{ people|map(attribute='age', default=0)|list }}", "[3, 1, 0]"},
      {"{{ people|selectattr('age')|map(attribute='name')|join(',') }}", "Ann,Bob"},
      {"{{ people|selectattr('name', 'equalto', 'Bob')|list|length }}", "1"},
      {"{{ people|rejectattr('age', 'defined')|map(attribute='name')|first }}", "Cy"},
      {"{{ list|select('odd')|list }} {{ list|reject('gt', 1)|list }}", "[3, 1] [1]"},
      {"{{ list|sort }} {{ list|sort(reverse=true) }} {{ words|sort|join }}",
       "[1, 2, 3] [3, 2, 1] Abc"},
      {"{{ people|selectattr('age')|sort(attribute='age')|map(attribute='name')|join }}", "BobAnn"},
      {"{{ list|first }} {{ list|last }} {{ list|max }} {{ list|min }} {{ list|sum }}",
       "3 2 3 1 6"},
      {"{{ list|reverse|list }} {{ 'abc'|reverse }}", "[2, 1, 3] cba"},
      {"{{ 'a b'|upper }} {{ 'A'|lower }} {{ 'hello world'|title }} {{ 'aBC'|capitalize }}",
       "A B a Hello World Abc"},
      {"{{ 'a-b-c'|replace('-', '+') }} {{ 'aaa'|replace('a', 'b', 2) }}", "a+b+c bba"},
      {"{{ 'a\\nb\\n\\nc'|indent(2) }}", "a\n  b\n\n  c"},
      {"{{ 'a\\nb'|indent(2, true) }}", "  a\n  b"},
      {"{{ '12'|int + 1 }} {{ 'x'|int }} {{ 'x'|int(9) }} {{ '2.7'|int }} {{ 3.9|int }}",
       "13 0 9 2 3"},
      {"{{ '2.5'|float }} {{ 2|float }} {{ -3|abs }} {{ 2.567|round(2) }} {{ 2.5|round }}",
       "2.5 2.0 3 2.57 2.0"},
      {"{{ (-3)|abs }} {{ n|string + '!' }} {{ '%s-%03d-%.2f'|format('a', 7, 1.5) }}",
       "3 7! a-007-1.50"},
      {"{{ dict|items|list }}", "[('z', 1), ('a', {'k': 'v'})]"},
      {"{{ {'b': 1, 'a': 2}|dictsort }}", "[('a', 2), ('b', 1)]"},
      {"{{ [1, 2, 3]|batch(2)|list }} {{ [1, 1, 2]|unique|list }}", "[[1, 2], [3]] [1, 2]"},
      {"{% for k, g in [{'t': 1, 'v': 'a'}, {'t': 1, 'v': 'b'}]|groupby('t') %}"
       "{{ k }}:{{ g|map(attribute='v')|join }}{% endfor %}",
       "1:ab"},
      {"{{ '<a>'|e }} {{ 'a b/c'|urlencode }} {{ 'a b c'|wordcount }} {{ 'x'|center(5) }}|",
       "&lt;a&gt; a%20b/c 3   x  |"},
      {"{{ 'foo bar baz qux'|truncate(9) }}", "foo..."},
      {"{{ 'abc'|list }}", "['a', 'b', 'c']"},
  };
  ExpectAll(cases);
}

TEST(ChatTemplate, Tests) {
  const Case cases[] = {
      {"{{ n is defined }} {{ missing is undefined }} {{ nothing is none }} {{ n is not none }}",
       "True True True True"},
      {"{{ text is string }} {{ dict is mapping }} {{ list is iterable }} {{ list is sequence }}",
       "True True True True"},
      {"{{ yes is true }} {{ yes is boolean }} {{ 1 is true }} {{ 0 is false }}",
       "True True False False"},
      {"{{ n is number }} {{ n is integer }} {{ x is float }} {{ yes is integer }}",
       "True True True False"},
      {"{{ n is odd }} {{ n is even }} {{ n is divisibleby 7 }} {{ n is divisibleby(2) }}",
       "True False True False"},
      {"{{ n is eq 7 }} {{ n is ge(8) }} {{ n is in list }} {{ 3 is in list }}",
       "True False False True"},
      {"{{ range is callable }} {{ 'abc' is lower }} {{ 'x' is filter }} {{ 'trim' is filter }}",
       "True True False True"},
      {"{{ n is defined and n is number or false }}", "True"},
  };
  ExpectAll(cases);
}

TEST(ChatTemplate, StringMethods) {
  const Case cases[] = {
      {"{{ 'a</t>b</t>c'.split('</t>')[-1] }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',', 1) }}",
       "c ['a', 'b'] ['a', 'b,c']"},
      {"{{ 'a,b,c'.rsplit(',', 1) }} {{ 'a\\nb'.splitlines() }}", "['a,b', 'c'] ['a', 'b']"},
      {"{{ '\\n x \\n'.strip('\\n') }}|{{ 'xxa'.lstrip('x') }}|{{ 'a  '.rstrip() }}|", " x |a|a|"},
      {"{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }}", "True True"},
      {"{{ 'aXb'.lower() }} {{ 'ß'.upper() }} {{ 'ab cd'.title() }} {{ 'AB'.capitalize() }}",
       "axb SS Ab Cd Ab"},
      {"{{ 'abcb'.find('b') }} {{ 'abcb'.rfind('b') }} {{ 'é-x'.find('x') }} {{ 'a'.find('z') }}",
       "1 3 2 -1"},
      {"{{ 'abab'.count('ab') }} {{ '-'.join(['a', 'b']) }} {{ 'a-b'.partition('-') }}",
       "2 a-b ('a', '-', 'b')"},
      {"{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }}", "x x"},
      {"{{ '12'.isdigit() }} {{ 'a1'.isalpha() }} {{ ' '.isspace() }} {{ ''.isdigit() }}",
       "True False True False"},
      {"{{ '{} {x}'.format(1, x=2) }} {{ '{0}{0}'.format(3) }}", "1 2 33"},
      {"{{ 'abc'.replace('', '.') }}", ".a.b.c."},
  };
  ExpectAll(cases);
}

TEST(ChatTemplate, RaiseExceptionGivesItsMessage) {
  const auto rendered = Render("{{ raise_exception('roles must ' ~ 'alternate') }}");
  EXPECT_EQ(rendered.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(rendered.status().message(), "roles must alternate");
}

TEST(ChatTemplate, ErrorsNameTheLine) {
  const Case cases[] = {
      {"a\n{{ missing.x }}", "line 2: 'missing' is undefined"},
      {"{{ 'a' + 1 }}", "line 1: can only concatenate str (not \"int\") to str"},
      {"{{ 'a' in none }}", "argument of type 'NoneType' is not iterable"},
      {"{{ 1 < 'a' }}", "'<' not supported between instances of 'int' and 'str'"},
      {"{{ n() }}", "'int' object is not callable"},
      {"{{ n|nope }}", "no filter named 'nope'"},
      {"{{ n is nope }}", "no test named 'nope'"},
      {"{{ 1 // 0 }}", "division by zero"},
      {"{{ 9223372036854775807 + 1 }}", "integer is out of range"},
      {"{{ list.append(1) }}", "'list object' has no attribute 'append'"},
      {"{% set n.x = 1 %}", "is no namespace"},
      {"{% for a, b in list %}{% endfor %}", "'int' object is not iterable"},
      {"{{ missing|tojson }}", "object of type Undefined is not JSON serializable"},
      {"{{ dict|upper('x') }}", "takes at most"},
  };
  for (const Case& c : cases) {
    const auto rendered = Render(c.source);
    EXPECT_EQ(rendered.status().code(), absl::StatusCode::kInvalidArgument) << c.source;
    EXPECT_THAT(rendered.status().ToString(), HasSubstr(c.expected)) << c.source;
  }
}

TEST(ChatTemplate, MalformedTemplatesAreRefused) {
  for (const char* source : {"{{",
                             "{{ a",
                             "{% if x %}",
                             "{% endif %}",
                             "{% for x %}{% endfor %}",
                             "{# a",
                             "{{ 'a }}",
                             "{% raw %}",
                             "{{ a b }}",
                             "{{ }}",
                             "{{ (1 }}",
                             "{{ [1) }}",
                             "{% break %}",
                             "{{ a. }}",
                             "{{ '\\x4' }}",
                             "{% include 'x' %}",
                             "{% set %}",
                             "{{ a[ }}",
                             "{{ f(a=1, 2) }}",
                             "{{ 1 + }}",
                             "{% macro m(a=1, b) %}{% endmacro %}",
                             "{{ 99999999999999999999 }}",
                             "{{ a ! b }}",
                             "{% else %}",
                             "{{ {1: } }}",
                             "\xFF"}) {
    const auto compiled = ChatTemplate::Compile(source);
    EXPECT_EQ(compiled.status().code(), absl::StatusCode::kInvalidArgument) << source;
  }
}

TEST(ChatTemplate, EveryTruncationIsHandled) {
  const std::string source =
      "{%- macro m(a, b='x') -%}{{ a|default(b)|tojson }}{%- endmacro -%}\n"
      "{% for m in messages[::-1] if m.role != 'x' %}{{ m['content'] ~ \"\\n\" }}{% else %}e"
      "{% endfor %}{# c #}{% set ns = namespace(a={'k': [1, 2.5]}) %}{{ m(ns.a.k[0] // 2) }}";
  for (std::size_t size = 0; size <= source.size(); ++size) {
    const auto rendered = Render(source.substr(0, size));
    EXPECT_TRUE(rendered.ok() || rendered.status().code() == absl::StatusCode::kInvalidArgument)
        << rendered.status();
  }
}

TEST(ChatTemplate, DeepNestingIsRefused) {
  const auto repeat = [](const std::string& part, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += part;
    return text;
  };
  constexpr int kTimes = 100'000;
  for (const std::string& source :
       {"{{ " + repeat("(", kTimes) + " }}", "{{ " + repeat("[", kTimes) + " }}",
        "{{ " + repeat("not ", kTimes) + "1 }}", "{{ " + repeat("-", kTimes) + "1 }}",
        "{{ 1" + repeat(" + 1", kTimes) + " }}", "{{ a" + repeat(".a", kTimes) + " }}",
        "{{ a" + repeat("|trim", kTimes) + " }}", repeat("{% if 1 %}", kTimes),
        "{{ 1" + repeat(" if 1 else 1", kTimes) + " }}", "{% set " + repeat("(", kTimes) + " %}"}) {
    EXPECT_EQ(ChatTemplate::Compile(source).status().code(), absl::StatusCode::kInvalidArgument)
        << source.substr(0, 20);
  }
}

TEST(ChatTemplate, RunawayRenderingsAreStopped) {
  const RenderOptions options{.max_steps = 200'000, .max_bytes = std::size_t{1} << 22};
  for (const char* source :
       {"{% for i in range(1000000000) %}x{% endfor %}",
        "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}"
        "{% endfor %}",
        "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}"
        "{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(90) %}{% set ns.l = [ns.l, ns.l] %}"
        "{% endfor %}{{ ns.l }}",
        "{{ 'x' * 1000000000 }}", "{{ 'x'.center(1000000000) }}", "{{ [1] * 1000000000 }}",
        "{{ ('x' * 100000).replace('', 'y' * 100000) }}"}) {
    const auto rendered = Render(source, options);
    EXPECT_EQ(rendered.status().code(), absl::StatusCode::kResourceExhausted)
        << source << ": " << rendered.status();
  }
}

TEST(ChatTemplate, ObjectsThatReferToEachOtherDoNotLeak) {
  const auto rendered = Render(
      "{% set ns = namespace() %}{% set ns.me = ns %}{% macro m() %}1{% endmacro %}"
      "{% set ns.m = m %}{% for i in [1] %}{% set ns.loop = loop %}{{ loop.changed(loop) }}"
      "{% macro inner() %}2{% endmacro %}{% set ns.inner = inner %}{% endfor %}{{ ns.m() }}");
  ASSERT_TRUE(rendered.ok()) << rendered.status();
  EXPECT_EQ(*rendered, "True1");
  EXPECT_FALSE(Render("{% set ns = namespace() %}{% for i in [1] %}{% macro f() %}{% endmacro %}"
                      "{% set ns.f = f %}{% endfor %}{{ ns.f() }}")
                   .ok());
}

class FixedClock final : public base::Clock {
 public:
  absl::Duration Monotonic() const override { return absl::ZeroDuration(); }
  absl::Time Now() const override {
    return absl::FromCivil(absl::CivilSecond(2025, 3, 9, 12), absl::LocalTimeZone());
  }
};

TEST(ChatTemplate, StrftimeNowReadsTheClock) {
  const FixedClock clock;
  const auto rendered = Render("{{ strftime_now('%d %b %Y') }}", {.clock = &clock});
  ASSERT_TRUE(rendered.ok()) << rendered.status();
  EXPECT_EQ(*rendered, "09 Mar 2025");
}

TEST(ChatTemplate, InputsAreChecked) {
  const auto compiled = ChatTemplate::Compile("{{ a }}");
  ASSERT_TRUE(compiled.ok());
  EXPECT_FALSE(compiled->Render(nlohmann::ordered_json::array()).ok());
  nlohmann::ordered_json deep = 1;
  for (int i = 0; i < 1000; ++i) deep = nlohmann::ordered_json::array({deep});
  EXPECT_EQ(compiled->Render({{"a", deep}}).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(compiled->Render({{"a", UINT64_MAX}}).ok());
}

}  // namespace
}  // namespace moesaic::model
