"""A small S3 client for tests: requests signed by AWS Signature Version 4 ("Authenticating Requests", Amazon S3 API Reference)."""
import hashlib
import hmac
import http.client
import re
import time
import urllib.parse


def sign(method, host, path, query, headers, body, access_key, secret_key, region="us-east-1"):
    """The headers of a signed request. path and the query's values are not yet percent-encoded."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    digest = hashlib.sha256(body).hexdigest()
    headers = {**{k.lower(): v for k, v in headers.items()}, "host": host, "x-amz-date": now, "x-amz-content-sha256": digest}
    names = sorted(headers)
    canonical = "\n".join([method, urllib.parse.quote(path, safe="/~"), encoded(query), *(f"{n}:{headers[n].strip()}" for n in names), "", ";".join(names), digest])
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in (now[:8], region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return headers


def encoded(query):
    return "&".join(f"{urllib.parse.quote(k, safe='~')}={urllib.parse.quote(v, safe='~')}" for k, v in sorted(query.items()))


class Client:
    def __init__(self, endpoint, access_key, secret_key, bucket):
        self.address = urllib.parse.urlsplit(endpoint).netloc
        self.keys, self.bucket = (access_key, secret_key), bucket

    def request(self, method, key, query=None, body=b"", headers=None):
        """(status, headers, body) of one request for a key of the bucket; "" is the bucket."""
        path = f"/{self.bucket}/{key}" if key else f"/{self.bucket}"
        signed = sign(method, self.address, path, query or {}, headers or {}, body, *self.keys)
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request(method, urllib.parse.quote(path, safe="/~") + ("?" + encoded(query) if query else ""), body=body, headers=signed)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def good(self, method, key, **more):
        status, _, body = self.request(method, key, **more)
        assert status // 100 == 2, f"{method} {key}: {status} {body[:300]}"
        return body

    def get(self, key):
        return self.good("GET", key)

    def put(self, key, body):
        return self.good("PUT", key, body=body)

    def delete(self, key):
        status, _, body = self.request("DELETE", key)
        assert status in (200, 204, 404), f"DELETE {key}: {status} {body[:300]}"

    def keys_of(self, prefix):
        keys, after = [], ""
        while True:
            body = self.good("GET", "", query={"list-type": "2", "prefix": prefix, **({"start-after": after} if after else {})}).decode()
            page = [urllib.parse.unquote(k) for k in re.findall(r"<Key>([^<]*)</Key>", body)]
            keys += page
            if "<IsTruncated>true" not in body or not page:
                return keys
            after = page[-1]

    def uploads_of(self, prefix):
        """(key, upload id) of multipart uploads that were begun and not finished."""
        body = self.good("GET", "", query={"uploads": "", "prefix": prefix}).decode()
        return re.findall(r"<Upload>.*?<Key>([^<]*)</Key>.*?<UploadId>([^<]*)</UploadId>", body, re.S)

    def empty(self, prefix):
        for key in self.keys_of(prefix):
            self.delete(key)
