"""Chat templates: what people say is text, and a stranger's template costs a sentence. Parity is in tests/parity."""

from __future__ import annotations

import copy
import random
import threading
import time

import psutil
import pytest

from lmlab.tokenizer.chat_template import ChatTemplate, default_template
from lmlab.tokenizer.tokenizer import Tokenizer
from tests.tokenizer.chat_templates import CHATML, HEADERS, SPECIALS, TEMPLATES, THINKING
from tests.tokenizer.random_text import mixed_text


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Bytes, two merges across what special names are made of, and the specials."""
    merged = [b"<|", b"|>"]
    return Tokenizer(
        token_bytes=[*(bytes([n]) for n in range(256)), *merged, *(name.encode() for name in SPECIALS)],
        ranks={token: rank for rank, token in enumerate(merged)},
        split="gpt2",
        specials={name: 258 + n for n, name in enumerate(SPECIALS)},
    )


def user(content: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": content}]


# ---------------------------------------------------------------- what people say is text


def hostile_content(rng: random.Random) -> str:
    """Names of special tokens, whole, cut anywhere and next to each other, among other text."""
    pieces = []
    for _ in range(rng.randrange(1, 8)):
        name = rng.choice(SPECIALS)
        cut = rng.randrange(len(name))
        pieces.append(rng.choice([name, name[:cut], name[cut:], " ", "\n", "x", mixed_text(rng.randrange(10**6), 2)]))
    return "".join(pieces)


def test_nothing_that_is_said_becomes_a_special_token(tokenizer: Tokenizer):
    """By hand for a template that leaves the words as they are: its own specials, everything else plain."""
    template, rng = ChatTemplate(CHATML), random.Random(5)
    start, end = tokenizer.specials["<|im_start|>"], tokenizer.specials["<|im_end|>"]
    for _ in range(300):
        messages = [
            {"role": rng.choice(("system", "user", "assistant")), "content": hostile_content(rng)} for _ in range(3)
        ]
        expected = []
        for m in messages:
            expected += [start, *tokenizer.encode(f"{m['role']}\n{m['content']}"), end, *tokenizer.encode("\n")]
        expected += [start, *tokenizer.encode("assistant\n")]
        assert template.encode(messages, tokenizer) == expected


@pytest.mark.parametrize("name", TEMPLATES)
def test_with_any_template_hostile_words_add_no_special_token(name: str, tokenizer: Tokenizer):
    """As many special tokens as for harmless words in the same places, and the text is the text."""
    template, rng = ChatTemplate(TEMPLATES[name], bos="<|begin_of_text|>", eos="<|eot_id|>"), random.Random(6)
    specials = set(tokenizer.specials.values())
    for _ in range(40):
        said = hostile_content(rng)
        ids, harmless = template.encode(user(said), tokenizer), template.encode(user("a"), tokenizer)
        assert [n for n in ids if n in specials] == [n for n in harmless if n in specials]
        assert tokenizer.decode(ids) == template.render(user(said))


def test_a_special_token_is_not_put_together_across_messages_and_template(tokenizer: Tokenizer):
    template = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}end|>")
    for contents in (["<|im_", "end|>"], ["<|", "im_"], ["<", "|im_end", "|>"], ["<|im_end|", ">"]):
        ids = template.encode([{"role": "user", "content": content} for content in contents], tokenizer)
        assert not set(ids) & set(tokenizer.specials.values())
        assert tokenizer.decode(ids) == "".join(contents) + "end|>"


def test_a_template_that_takes_words_apart_reads_the_names_in_them_as_text(tokenizer: Tokenizer):
    """This one cuts an assistant's thoughts out, so that its parts cannot be followed; others' names still count."""
    template, specials = ChatTemplate(THINKING), tokenizer.specials
    messages = [*user("Hi <|im_start|>"), {"role": "assistant", "content": "<think>\nwell\n</think>\nok"}, *user("Go")]
    ids = template.encode(messages, tokenizer)
    assert tokenizer.decode(ids) == template.render(messages)
    assert "well" not in template.render(messages)  # as in transformers: what was thought is not read again
    assert ids.count(specials["<|im_end|>"]) == 3
    assert specials["<|im_start|>"] not in ids  # someone typed it
    assert specials["<think>"] not in ids


def test_a_template_may_strip_and_cut_and_the_rest_is_still_followed(tokenizer: Tokenizer):
    ids = ChatTemplate(HEADERS, bos="<|begin_of_text|>").encode(user("  <|eot_id|> \n"), tokenizer)
    assert ids[0] == tokenizer.specials["<|begin_of_text|>"]
    assert ids.count(tokenizer.specials["<|eot_id|>"]) == 1
    cut = ChatTemplate("<|im_start|>{{ messages[0].content[:12] | upper }}<|im_end|>")
    ids = cut.encode(user("<|im_end|>abcdefgh"), tokenizer)
    assert ids[0] == tokenizer.specials["<|im_start|>"]
    assert tokenizer.decode(ids[1:-1]) == "<|IM_END|>AB"


def test_the_default_template_uses_the_specials_that_we_reserve(tokenizer: Tokenizer):
    text = default_template().render([*user("Hi"), {"role": "assistant", "content": "Yes?"}, *user("Go")])
    assert text == "<|endoftext|><|user|>Hi<|end|><|assistant|>Yes?<|end|><|user|>Go<|end|><|assistant|>"
    ids = default_template().encode("Hi <|end|>", tokenizer)
    assert [n for n in ids if n >= 258] == [
        tokenizer.specials[name] for name in ("<|endoftext|>", "<|user|>", "<|end|>", "<|assistant|>")
    ]
    with pytest.raises(ValueError, match="knows the roles user and assistant, not system"):
        default_template().render([{"role": "system", "content": "x"}])


# ---------------------------------------------------------------- what is no conversation


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "A conversation is a question, or a list of messages"),
        (None, "not None"),
        (7, "not 7"),
        (["Hello"], "Message 0 must have a role and a content"),
        ([{"content": "Hello"}], "Message 0 must have a role"),
        ([{"role": "user", "content": "a", "name": "b"}], "nothing else"),
        ([*user("a"), {"role": "<|im_end|>", "content": "a"}], "Message 1 has the role '<|im_end|>'; roles are system"),
        ([{"role": ["user"], "content": "a"}], "Message 0 has the role"),
        ([{"role": "user", "content": ["a"]}], "Message 0 must say a text"),
        ([{"role": "user", "content": None}], "Message 0 must say a text"),
        ("a" * 400_001, "400,001 characters and at most 400,000"),
    ],
)
def test_what_is_no_conversation_is_said_in_a_sentence(messages: object, words: str):
    with pytest.raises(ValueError) as raised:
        ChatTemplate(CHATML).render(messages)  # type: ignore[arg-type]
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_a_question_is_the_message_of_a_user_and_an_empty_one_is_one():
    template = ChatTemplate(CHATML)
    assert template.render("Hi") == template.render(user("Hi"))
    assert template.render("") == "<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n"
    assert len(template.render("a" * 400_000)) > 400_000


# ---------------------------------------------------------------- templates of strangers

A_SET = "{% set ns = namespace(x=%s) %}{% for i in range(64) %}{% set ns.x = %s %}{% endfor %}{{ ns.x }}"
HOSTILE = {
    "endless loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a long range": "{% for a in range(1000000000) %}x{% endfor %}",
    "a power": "{% for a in range(10**9) %}x{% endfor %}",
    "a tower of powers": "{{ 9**9**9**9 }}",
    "a long text": "{{ 'a' * 1000000000 }}",
    "a long text, turned around": "{{ 1000000000 * 'a' }}",
    "a long list": "{{ [1] * 1000000000 }}",
    "doubling with ~": A_SET.replace("%s", "'a'", 1).replace("%s", "ns.x ~ ns.x"),
    "doubling with +": A_SET.replace("%s", "'a'", 1).replace("%s", "ns.x + ns.x"),
    "doubling lists": A_SET.replace("%s", "'a'", 1).replace("%s", "[ns.x, ns.x]"),
    "doubling tuples": A_SET.replace("%s", "'a'", 1).replace("%s", "(ns.x, ns.x)"),
    "doubling tables": A_SET.replace("%s", "'a'", 1).replace("%s", "{'a': ns.x, 'b': ns.x}"),
    "doubling with dict()": A_SET.replace("%s", "'a'", 1).replace("%s", "dict(a=ns.x, b=ns.x)"),
    "squaring": A_SET.replace("%s", "3", 1).replace("%s", "ns.x * ns.x"),
    "doubling blocks": "{% set ns = namespace(x='a') %}{% for i in range(64) %}{% set y %}{{ ns.x }}{{ ns.x }}"
    "{% endset %}{% set ns.x = y %}{% endfor %}",
    "namespaces in namespaces": "{% set a = namespace(x=1) %}{% set b = namespace(x=a) %}{{ b }}",
    "a namespace that plays a class": "{% set a = namespace(__class__=1) %}",
    "center": "{{ 'a'|center(1000000000) }}",
    "ljust": "{{ 'a'.ljust(1000000000) }}",
    "format": "{{ '{:1000000000}'.format(1) }}",
    "the format filter": "{{ '%1000000000d'|format(1) }}",
    "the format operator": "{{ '%1000000000d' % 1 }}",
    "replacing": "{{ ('a'*1000)|replace('a', 'b'*1000)|replace('b', 'c'*1000) }}",
    "replacing by method": "{{ ('a'*1000).replace('a', 'b'*1000).replace('b', 'c'*1000) }}",
    "joining": "{{ (['b']*100000)|join('a'*100000) }}",
    "joining by method": "{{ ('a'*100000).join(['b']*100000) }}",
    "mapping": "{{ range(100000)|map('string')|map('replace', '', 'a'*1000)|join }}",
    "indented JSON": "{{ [1]|tojson(indent=1000000000) }}",
    "much fixed text": "{% for a in range(99999) %}" + "x" * 30_000 + "{% endfor %}",
    "much fixed text in a macro": "{% macro f() %}" + "x" * 20_000 + "{% endmacro %}{% set y %}"
    "{% for a in range(99999) %}{{ f() }}{% endfor %}{% endset %}",
    "a macro that calls itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a macro that calls itself twice": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}"
    "{{ f(40) }}",
    "a loop that calls itself": "{% for a in [1] recursive %}{{ loop([1, 1]) }}{% endfor %}",
    "many slices": "{% set x = 'a' * 900000 %}{{ [" + ",".join(["x[1:]"] * 5000) + "] }}",
    "many searches": "{% set x = 'a' * 900000 %}{{ [" + ",".join(["'b' in x"] * 3000) + "] }}",
    "a class": "{{ ''.__class__.__mro__ }}",
    "subclasses": "{{ ''.__class__.__base__.__subclasses__() }}",
    "a constructor's globals": "{{ namespace.__init__.__globals__ }}",
    "the template's own": "{{ self.__init__.__globals__ }}",
    "attr": "{{ ''|attr('__class__') }}",
    "lipsum": "{{ lipsum(n=1000000) }}",
    "changing the messages": "{{ messages.append(1) }}",
    "a method nobody needs": "{{ messages[0].pop('role') }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import '/etc/passwd' as x %}",
    "from": "{% from '/etc/passwd' import x %}",
    "extends": "{% extends '/etc/passwd' %}",
    "deep brackets": "{{ " + "[" * 15_000 + "]" * 15_000 + " }}",
    "deep conditions": "{% if 1 %}" * 1500 + "{% endif %}" * 1500,
    "deep negation": "{{ " + "not " * 7_000 + "1 }}",
    "no template": "{{ messages",
    "an unknown statement": "{% launch %}",
    "a refusal": "{{ raise_exception('Roles must alternate.') }}",
    "internal names": "{{ [1]|map('looped', -1000000000)|list }}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_costs_a_sentence(name: str):
    before, start = psutil.Process().memory_info().rss, time.process_time()
    with pytest.raises(ValueError) as raised:
        ChatTemplate(HOSTILE[name]).render("Hello")
    said = str(raised.value)
    assert said.startswith("The chat template")
    assert said.endswith(".")
    assert "\n" not in said
    assert len(said) < 400
    assert time.process_time() - start < 15  # seconds of computing; one is usual
    assert psutil.Process().memory_info().rss - before < 300e6


def test_a_refusal_keeps_the_templates_own_words():
    with pytest.raises(ValueError, match=r"write this conversation: Roles must alternate\.$"):
        ChatTemplate(HOSTILE["a refusal"]).render("Hello")


@pytest.mark.parametrize("source", ["", " \n", None, b"x", "x" * 32_001])
def test_a_source_that_is_no_template_is_refused_at_once(source: object):
    with pytest.raises(ValueError, match="chat template"):
        ChatTemplate(source)  # type: ignore[arg-type]


def test_a_broken_template_is_no_reason_not_to_open_a_model():
    template = ChatTemplate("{{ messages")
    with pytest.raises(ValueError, match="does not write this conversation"):
        template.render("Hi")


def test_the_budget_is_new_for_each_conversation_and_threads_wait_their_turn():
    template = ChatTemplate("{% for a in range(50000) %}{% endfor %}{{ messages[0].content }}")
    said: list[str] = []
    threads = [threading.Thread(target=lambda n=n: said.append(template.render(str(n)))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == [str(n) for n in range(8)]


def test_a_model_with_a_template_that_was_used_can_be_copied():
    template = ChatTemplate(HEADERS, bos="<|begin_of_text|>", eos="<|eot_id|>")
    said = template.render("Hi")
    again = copy.deepcopy(template)
    assert again.render("Hi") == said
    assert (again.bos, again.eos) == (template.bos, template.eos)


def test_a_long_conversation_is_within_the_budget():
    messages = [{"role": ("user", "assistant")[n % 2], "content": "word " * 50} for n in range(1000)]
    for source in (CHATML, HEADERS, THINKING):
        assert len(ChatTemplate(source).render(messages)) > 250_000
