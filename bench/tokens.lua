-- wrk script: each request carries the next cookie of the file that is named after `--`.
local requests, next = {}, 0

function init (args)
  for cookie in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format('GET', wrk.path, { cookie = cookie })
  end
end

function request ()
  next = next % #requests + 1
  return requests[next]
end
