"""Where signers of the milestone and demand channels go wrong (contract: Signature): a case for each.

A case is a member that stands at the end of an envelope, as it is written: a parser has to read it as
ECMAScript does, and print it again as ECMAScript does.
"""

CORNERS: dict[str, str] = {
    "whole numbers written as fractions": '"extra":[1.0,-0,0e5,120.50]',
    "numbers with an exponent": '"extra":[1E2,1e21,123e-20,1e-6,1e-7,5e-324]',
    "numbers of more digits than a double has": '"extra":[12345678901234567890,0.1000000000000000055]',
    "a number beyond doubles, which prints as null": '"extra":[1e400,-1e400]',
    "index-like keys first, in numeric order": (
        '"extra":{"10":1,"b":2,"2":3,"01":4,"4294967294":5,"4294967295":6,"-1":7}'
    ),
    "keys in the order of UTF-16 code units": (
        '"extra":{"\ufb33":1,"\U0001f600":2,"\u00e9":3,"z":4,"":5,"Z":6}'
    ),
    "text that is not ASCII, as it is": '"extra":"Ü “x” ✅ \U0001f680 \u2028\u2029\u007f"',
    "escapes, the shortest": ('"extra":"\\u0041\\/\\b\\f\\n\\r\\t\\u0000\\u001f\\u00e9\\ud83d\\ude00"'),
    "half of a surrogate pair, as an escape": '"extra":{"\\ud800":"\\udc00"}',
    "of a key that occurs twice, the last": '"extra":{"b":1,"a":2,"b":{"c":3}}',
    "a member __proto__, which vanishes": '"extra":{"__proto__":{"a":1},"b":2}',
    "white space and nesting": '"extra" :\t[ [ ] , { } ,\r\n null , true , { "b":[ 2 , 1 ] , "a":0 } ]',
}
"""By name, a member of a JSON object as text."""
